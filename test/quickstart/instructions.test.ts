import assert from 'node:assert/strict';
import { instructions } from '../../src/quickstart/instructions.ts';

const RUNNING = { publicUrl: 'http://127.0.0.1:8080', issuer: 'http://127.0.0.1:4192', aggregate: false };

describe('what postern up prints', () => {
  const clientsOf = (version: string) =>
    [...instructions({ ...RUNNING, servers: ['github'] }, version).matchAll(/^# ([^,\n]+)/gm)].map(([, name]) => name);

  for (const version of ['20.19.0', '21.7.3'])
    it(`begins with mcp-remote on Node.js ${version}, and says what the Inspector needs`, () => {
      assert.equal(clientsOf(version)[0], 'mcp-remote');
      assert.match(
        instructions({ ...RUNNING, servers: ['github'] }, version),
        /Inspector, needs Node\.js 22, this is 2/,
      );
    });
  for (const version of ['22.0.0', '24.3.1'])
    it(`begins with the Inspector on Node.js ${version}`, () => assert.equal(clientsOf(version)[0], 'MCP Inspector'));

  it('names the servers of one’s own configuration and no example', () => {
    const text = instructions({ ...RUNNING, servers: ['github', 'wiki'] }, '22.0.0');
    assert.match(text, /curl -i http:\/\/127\.0\.0\.1:8080\/servers\/github\/mcp/);
    assert.match(text, /servers\/wiki\/mcp/);
    assert.doesNotMatch(text, /example|clock|8080\/mcp/);
  });
  it('has no line for a server where there is none', () => {
    const text = instructions({ ...RUNNING, servers: [] }, '22.0.0');
    assert.doesNotMatch(text, /servers\/|undefined/);
    assert.match(text, /^1\. In your browser/m);
  });
});
