import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

function refusal(server: object): string {
  try {
    parseConfig({ relay: { servers: { one: server } } });
  } catch (error) {
    assert.ok(error instanceof ConfigurationError);
    return error.message;
  }
  return assert.fail('taken');
}

describe('configuration of an MCP server', () => {
  it('takes an address of each kind, or a program', () => {
    for (const server of [
      { url: 'http://127.0.0.1/mcp' },
      { url: 'wss://example.com/mcp' },
      { url: 'https://example.com/sse', transport: 'http-sse' },
      { command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', '/data'], env: { A: 'b' } },
    ])
      parseConfig({ relay: { servers: { one: server } } });
  });

  for (const [name, server, said] of [
    ['neither address nor program', {}, /servers\.one\.url: give exactly one of url and command/],
    ['both', { url: 'http://a/mcp', command: 'b' }, /servers\.one\.url: give exactly one/],
    ['another protocol', { url: 'ftp://a/mcp' }, /servers\.one\.url: must be an http, https, ws or wss URL/],
    [
      'a transport that the address does not have',
      { url: 'ws://a/', transport: 'http-sse' },
      /servers\.one\.transport/,
    ],
    [
      'a credential for a program',
      { command: 'a', credential: { bearer: { value: 'x' } } },
      /servers\.one\.credential/,
    ],
    [
      'headers for a program',
      { command: 'a', identityHeaders: true },
      /servers\.one\.command: a program gets no headers/,
    ],
    ['TLS without TLS', { url: 'ws://a/', tls: { caPath: 'x' } }, /servers\.one\.tls: needs an https or wss address/],
    [
      'one person’s connection for everybody',
      { url: 'ws://a/', sharing: 'everybody', credential: { bearer: { value: 'x' } } },
      /servers\.one\.sharing/,
    ],
    ['a variable that is none', { command: 'a', env: { 'A-B': 'c' } }, /servers\.one\.env/],
  ] as const)
    it(`refuses ${name}`, () => assert.match(refusal(server), said));
});
