import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HIDDEN, readOperation } from '../../../src/forward-auth/decision/mcp-operation.ts';
import { imagineRequest } from '../support/imagined.ts';

const MODERN = ['MCP-Protocol-Version', '2026-07-28'];
const read = (headers: readonly string[], method = 'POST') =>
  readOperation(imagineRequest('/mcp', { method, headers }));
const call = (name: string) => read([...MODERN, 'Mcp-Method', 'tools/call', 'Mcp-Name', name]);
const encoded = (text: string | Buffer) => `=?base64?${Buffer.from(text as string).toString('base64')}?=`;

describe('readOperation', () => {
  it('finds none where nothing is posted', () => {
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PUT'])
      assert.equal(read([...MODERN, 'Mcp-Method', 'tools/call'], method), undefined);
  });

  it('takes a WebSocket for anything: its messages are seen by nobody here', () => {
    for (const method of ['GET', 'CONNECT'])
      for (const path of ['/ws', '/servers/github/ws'])
        for (const headers of [[], [...MODERN, 'Mcp-Method', 'ping']])
          assert.equal(readOperation(imagineRequest(path, { method, headers })), HIDDEN);
  });

  it('reads method and tool of a modern request, in any case of the names', () => {
    assert.deepEqual(call('list'), { method: 'tools/call', tool: 'list' });
    const shouted = ['MCP-PROTOCOL-VERSION', '2026-07-28', 'MCP-METHOD', 'tools/call', 'mcp-name', 'List'];
    assert.deepEqual(read(shouted), { method: 'tools/call', tool: 'List' });
    assert.deepEqual(read(['mcp-protocol-version', '2027-01-01', 'mcp-method', 'ping']), {
      method: 'ping',
      tool: undefined,
    });
  });

  it('takes a name for a tool in whatever a careless server takes for tools/call', () => {
    for (const method of ['Tools/Call', 'TOOLS/CALL', 'tools/call\u200b', '\uff54ools/call'])
      assert.deepEqual(read([...MODERN, 'Mcp-Method', encoded(method), 'Mcp-Name', 'delete_x']), {
        method,
        tool: 'delete_x',
      });
    assert.match(String(read([...MODERN, 'Mcp-Method', 'Tools/Call'])), /Mcp-Name is missing/);
  });

  it('takes a name for a tool in tools/call only', () => {
    for (const [method, more] of [
      ['prompts/get', { prompt: 'delete_x' }],
      ['resources/read', { resource: 'delete_x' }],
      ['tools/list', {}],
      ['x', {}],
    ] as const)
      assert.deepEqual(read([...MODERN, 'Mcp-Method', method, 'Mcp-Name', 'delete_x']), {
        method,
        tool: undefined,
        ...more,
      });
  });

  for (const version of ['2025-11-25', '2025-06-18', '2024-11-05', '', 'latest', '2026-07-28x', '20260728', '9'])
    it(`leaves the operation hidden in version ${JSON.stringify(version)}`, () => {
      assert.equal(read(['MCP-Protocol-Version', version, 'Mcp-Method', 'ping']), HIDDEN);
    });
  it('leaves the operation hidden without a version, whatever Mcp-Method says', () => {
    assert.equal(read([]), HIDDEN);
    assert.equal(read(['Mcp-Method', 'initialize']), HIDDEN);
  });

  const contradictory: Array<[title: string, headers: string[], problem: RegExp]> = [
    ['two versions', [...MODERN, ...MODERN, 'Mcp-Method', 'ping'], /Version came more than once/],
    ['an old and a new version', ['mcp-protocol-version', '2025-11-25', ...MODERN], /Version came more than once/],
    ['no method', MODERN, /Mcp-Method is missing/],
    ['two methods', [...MODERN, 'Mcp-Method', 'ping', 'MCP-METHOD', 'ping'], /Mcp-Method came more than once/],
    ['an alias of the version', ['MCP.Protocol.Version', '2025-11-25', ...MODERN], /Version came .* another spelling/],
    ['an alias of the method', [...MODERN, 'Mcp-Method', 'ping', 'mcp!method', 'x'], /Method came .* another spelling/],
    ['an alias instead of a method', [...MODERN, 'Mcp_Method', 'ping'], /Mcp-Method came .* another spelling/],
    [
      'an alias of the name, of which another method takes none',
      [...MODERN, 'Mcp-Method', 'tools/list', 'MCP~NAME', 'delete_x'],
      /Mcp-Name came .* another spelling/,
    ],
    ['no tool', [...MODERN, 'Mcp-Method', 'tools/call'], /Mcp-Name is missing/],
    ['no prompt', [...MODERN, 'Mcp-Method', 'prompts/get'], /Mcp-Name is missing/],
    ['no resource', [...MODERN, 'Mcp-Method', 'resources/read'], /Mcp-Name is missing/],
    [
      'two names',
      [...MODERN, 'Mcp-Method', 'tools/call', 'Mcp-Name', 'list', 'Mcp-Name', 'delete_x'],
      /Mcp-Name came more than once/,
    ],
    [
      'two names where none is needed',
      [...MODERN, 'Mcp-Method', 'ping', 'Mcp-Name', 'a', 'Mcp-Name', 'b'],
      /Mcp-Name came more than once/,
    ],
    ...['d\xe4nger', 'd\xc3\xa4nger', 'delete\tx', '\xa0delete_x', 'del\x7fete'].map(
      (name): [string, string[], RegExp] => [
        `${JSON.stringify(name)} as a name`,
        [...MODERN, 'Mcp-Method', 'tools/call', 'Mcp-Name', name],
        /Mcp-Name holds a character outside ASCII: encode it/,
      ],
    ),
    [
      'a method outside ASCII',
      [...MODERN, 'Mcp-Method', 't\xf6ols/call'],
      /Mcp-Method holds a character outside ASCII/,
    ],
  ];
  for (const [title, headers, problem] of contradictory)
    it(`refuses ${title}`, () => {
      const answer = read(headers);
      assert.ok(typeof answer === 'string', 'it is a problem');
      assert.match(answer, problem);
    });

  describe('an encoded name', () => {
    it('is decoded, so that a glob sees what the server sees', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'grapheme' }), (name) =>
          assert.deepEqual(call(encoded(name)), { method: 'tools/call', tool: name }),
        ),
      );
      assert.deepEqual(call(encoded('delete_x').replace('base64', 'BASE64')), {
        method: 'tools/call',
        tool: 'delete_x',
      });
    });
    for (const [title, name] of [
      ['no padding', '=?base64?ZGVsZXRlX3g?='],
      ['too much padding', '=?base64?ZGVsZXRl==?='],
      ['other trailing bits', '=?base64?YR==?='],
      ['spaces', '=?base64?ZGVs ZXRl?='],
      ['the URL alphabet', '=?base64?_-__?='],
      ['no UTF-8', encoded(Buffer.from([0xff, 0xfe]))],
      ['a lone surrogate', encoded(Buffer.from([0xed, 0xa0, 0x80]))],
      ['another encoding', '=?utf-8?q?delete_x?='],
      ['no end', '=?base64?ZGVsZXRl'],
      ['something after the end', '=?base64?ZGVsZXRl?=x'],
    ] as const)
      it(`with ${title} is refused`, () => {
        const answer = call(name);
        assert.ok(typeof answer === 'string', JSON.stringify(answer));
        assert.match(answer, /^Mcp-Name is (?:in an unknown encoding|not base64 of UTF-8)$/);
      });
  });
});
