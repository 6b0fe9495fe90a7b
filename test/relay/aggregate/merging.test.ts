import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { mergedCapabilities, mergedInstructions } from '../../../src/relay/aggregate/capabilities.ts';
import { Coalescing } from '../../../src/relay/aggregate/coalescing.ts';
import { withClientUris } from '../../../src/relay/aggregate/content-uris.ts';
import { destinationOf } from '../../../src/relay/aggregate/destination.ts';
import { clientEntries } from '../../../src/relay/aggregate/listings.ts';
import { Names } from '../../../src/relay/aggregate/names.ts';

const NAMES = new Names(['a', 'b'], '__', 64);

describe('what several servers say of themselves', () => {
  it('is offered where one of them offers it, and nothing that cannot be shared', () => {
    const merged = mergedCapabilities([
      { capabilities: { tools: {}, tasks: {}, experimental: { x: {} } }, instructions: undefined },
      { capabilities: { resources: { subscribe: true }, logging: {} }, instructions: undefined },
    ]);
    assert.deepEqual(merged, {
      tools: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      logging: {},
    });
    assert.deepEqual(mergedCapabilities([]), {});
  });

  it('keeps the instructions of each apart', () => {
    const text = mergedInstructions(
      new Map([
        ['a', { capabilities: {}, instructions: 'Say please.' }],
        ['b', { capabilities: {}, instructions: undefined }],
      ]),
      '__',
    );
    assert.match(text ?? '', /a, b.*<server>__<name>/);
    assert.match(text ?? '', /# a\n\nSay please\.$/);
    assert.equal(mergedInstructions(new Map(), '__'), undefined);
  });
});

describe('entries of a server in a common list', () => {
  it('are named after it, and keep what else is said of them', () => {
    const { entries, leftOut } = clientEntries(
      'tools/list',
      'a',
      {
        tools: [
          { name: 'x', inputSchema: { type: 'object' }, _meta: { ui: { resourceUri: 'ui://page' }, other: 1 } },
          { name: 'x', inputSchema: {} },
          { name: 'y'.repeat(64), inputSchema: {} },
          { name: 'task', inputSchema: {}, execution: { taskSupport: 'required' } },
          { title: 'nameless' },
          null,
        ],
      },
      NAMES,
    );
    assert.deepEqual(entries, [
      {
        name: 'a__x',
        inputSchema: { type: 'object' },
        _meta: { ui: { resourceUri: 'ui://mcp-a+page' }, other: 1 },
      },
    ]);
    assert.deepEqual(
      leftOut.map(({ reason }) => reason),
      ['listed_twice', 'name_too_long', 'needs_tasks', 'invalid', 'invalid'],
    );
  });

  it('of a server that sends no list are none', () => {
    assert.deepEqual(clientEntries('prompts/list', 'a', { prompts: { length: 3 } }, NAMES).entries, []);
  });

  it('are resources by their URI and templates by theirs', () => {
    const resources = { resources: [{ uri: 'file:///x', name: 'x' }] };
    assert.deepEqual(clientEntries('resources/list', 'b', resources, NAMES).entries, [
      { uri: 'mcp-b+file:///x', name: 'x' },
    ]);
    const templates = { resourceTemplates: [{ uriTemplate: 'file:///{path}', name: 'x' }] };
    assert.deepEqual(clientEntries('resources/templates/list', 'b', templates, NAMES).entries, [
      { uriTemplate: 'mcp-b+file:///{path}', name: 'x' },
    ]);
  });
});

describe('resources within what a server says', () => {
  it('are marked wherever a client could ask for them', () => {
    const link = { type: 'resource_link', uri: 'file:///x', name: 'x' };
    const embedded = { type: 'resource', resource: { uri: 'file:///x', text: 'file:///x' } };
    const text = { type: 'text', text: 'file:///x' };
    assert.deepEqual(
      withClientUris('a', { content: [link, embedded, text], structuredContent: { uri: 'file:///x' } }),
      {
        content: [
          { ...link, uri: 'mcp-a+file:///x' },
          { ...embedded, resource: { ...embedded.resource, uri: 'mcp-a+file:///x' } },
          text,
        ],
        structuredContent: { uri: 'file:///x' },
      },
    );
    assert.deepEqual(withClientUris('a', { contents: [{ uri: 'file:///x', text: '' }] }), {
      contents: [{ uri: 'mcp-a+file:///x', text: '' }],
    });
    assert.deepEqual(withClientUris('a', { messages: [{ role: 'user', content: link }] }), {
      messages: [{ role: 'user', content: { ...link, uri: 'mcp-a+file:///x' } }],
    });
    const nested = { role: 'user', content: [{ type: 'tool_result', toolUseId: '1', content: [link] }] };
    assert.deepEqual(withClientUris('a', { messages: [nested] }).messages, [
      {
        role: 'user',
        content: [{ type: 'tool_result', toolUseId: '1', content: [{ ...link, uri: 'mcp-a+file:///x' }] }],
      },
    ]);
  });
});

describe('the server that a request is for', () => {
  const to = (method: string, params: Record<string, unknown>) => destinationOf(method, params, NAMES);

  it('is read from its name, URI or reference', () => {
    assert.deepEqual(to('tools/call', { name: 'a__x', arguments: { y: 1 } }), {
      kind: 'one',
      server: 'a',
      params: { name: 'x', arguments: { y: 1 } },
    });
    assert.deepEqual(to('resources/subscribe', { uri: 'mcp-b+file:///x' }), {
      kind: 'one',
      server: 'b',
      params: { uri: 'file:///x' },
    });
    assert.deepEqual(to('completion/complete', { ref: { type: 'ref/prompt', name: 'b__p' }, argument: {} }), {
      kind: 'one',
      server: 'b',
      params: { ref: { type: 'ref/prompt', name: 'p' }, argument: {} },
    });
    assert.deepEqual(to('completion/complete', { ref: { type: 'ref/resource', uri: 'mcp-a+x://{y}' } }), {
      kind: 'one',
      server: 'a',
      params: { ref: { type: 'ref/resource', uri: 'x://{y}' } },
    });
  });

  it('is nobody where nothing can be read, and no method of Object is one of the protocol', () => {
    for (const params of [{}, { name: 7 }, { name: 'x' }, { name: 'c__x' }])
      assert.equal(to('tools/call', params).kind, 'not_found');
    assert.equal(to('resources/read', { uri: 'file:///x' }).kind, 'not_found');
    assert.equal(to('completion/complete', { ref: null }).kind, 'not_found');
    for (const method of ['tasks/get', 'toString', '__proto__', ''])
      assert.equal(to(method, {}).kind, 'unknown_method');
  });
});

describe('announcements of several servers', () => {
  it('become one', async () => {
    const sent: string[] = [];
    let done = () => {};
    const both = new Promise<void>((resolve) => {
      done = resolve;
    });
    const coalescing = new Coalescing(5, (method) => {
      sent.push(method);
      if (sent.length === 2) done();
    });
    for (const method of ['tools', 'prompts', 'tools', 'tools', 'prompts']) coalescing.announce(method);
    assert.deepEqual(sent, []);
    await both;
    assert.deepEqual(sent, ['tools', 'prompts']);
    coalescing.announce('tools');
    coalescing.close();
  });
});
