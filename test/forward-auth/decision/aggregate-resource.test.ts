import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { imagineRequest } from '../support/imagined.ts';

describe('all servers as one, as a protected resource', () => {
  const resources = new Resources('https://mcp.example.com/base', ['github'], true);
  const at = (path: string) => resources.of(imagineRequest(path));

  it('is one of its own, over each of its transports', () => {
    const { uri } = at('/base/mcp');
    assert.equal(uri, 'https://mcp.example.com/base/mcp');
    for (const path of ['/base/sse', '/base/messages', '/base/ws']) assert.equal(at(path).uri, uri);
    assert.equal(at('/base/servers/github/mcp').uri, 'https://mcp.example.com/base/servers/github/mcp');
    for (const path of ['/base/mcp//', '/base/mcp/x', '/base/mcpx', '/base/servers/mcp', '/base/'])
      assert.equal(at(path), resources.rest, path);
    for (const path of ['/mcp', '/basement/mcp', '/servers/github/mcp'])
      assert.equal(at(path).uri, 'https://mcp.example.com', 'what is not below publicUrl is none of ours');
  });

  it('is described where RFC 9728 looks, and the root belongs to none of several', () => {
    assert.equal(at('/base/mcp').metadataUrl?.endsWith('/oauth-protected-resource/base/mcp'), true);
    assert.equal(resources.describedAt('/base/mcp'), at('/base/mcp'));
    assert.equal(resources.describedAt(''), undefined);
    const uris = resources.all().map(({ uri }) => new URL(uri).pathname);
    assert.deepEqual(uris, ['/base/servers/github/mcp', '/base/mcp'], 'what a broker gives tokens for');
    assert.equal(at('/base/mcp').server, undefined, 'an API key for some servers does not open it');
    const without = new Resources('https://mcp.example.com', ['github']);
    assert.equal(without.describedAt('/mcp'), undefined);
    assert.equal(without.of(imagineRequest('/mcp')), without.rest);
  });
});

describe('the configuration of all servers as one', () => {
  const parse = (aggregate: object) =>
    parseConfig({ relay: { servers: { a: { url: 'http://a/mcp' }, 'a-b': { url: 'http://b/mcp' } }, aggregate } });

  it('names servers that are, once, and a separator that none of them holds', () => {
    assert.equal(parse({ servers: ['a', 'a-b'] }).relay.aggregate?.separator, '__');
    assert.throws(() => parse({ servers: ['a', 'c'] }), /relay\.aggregate\.servers.*there is no MCP server "c"/s);
    assert.throws(() => parse({ servers: ['a', 'a'] }), /"a" is listed twice/);
    assert.throws(() => parse({ servers: [] }), /relay\.aggregate\.servers/);
    assert.throws(() => parse({ servers: ['a', 'a-b'], separator: '-' }), /"a-b-…" could be read in two ways/);
    assert.throws(() => parse({ servers: ['a'], separator: '' }), /relay\.aggregate\.separator/);
  });
});
