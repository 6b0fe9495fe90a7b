import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ambiguousServers } from '../../../src/platform/config/aggregate-schema.ts';
import { Names } from '../../../src/relay/aggregate/names.ts';
import { uriToClient, uriToServer } from '../../../src/relay/aggregate/uris.ts';

const SERVER = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}$/);
const SEPARATOR = fc.stringMatching(/^[a-z_.-]{1,3}$/);

describe('names of several servers in one list', () => {
  const names = new Names(['a', 'a-b', 'github'], '__', 20);

  it('are taken apart at the first separator, whatever a server calls its tools', () => {
    assert.equal(names.toClient('a', 'b__c'), 'a__b__c');
    assert.deepEqual(names.toServer('a__b__c'), { server: 'a', name: 'b__c' });
    assert.deepEqual(names.toServer('a___x'), { server: 'a', name: '_x' });
    assert.deepEqual(names.toServer('a-b__c'), { server: 'a-b', name: 'c' });
  });

  it('of servers that are not in, and names that are none, lead nowhere', () => {
    for (const name of ['b__c', 'a', 'a_c', '__c', 'a__', '', 'A__c', 'constructor__x']) {
      assert.equal(names.toServer(name), undefined, name);
    }
  });

  it('are not made longer than clients take', () => {
    assert.equal(names.toClient('github', 'x'.repeat(12)), `github__${'x'.repeat(12)}`);
    assert.equal(names.toClient('github', 'x'.repeat(13)), undefined);
  });

  it('cannot be one name of two servers, where no server is called ambiguous', () => {
    const parts = fc.uniqueArray(SERVER, { minLength: 2, maxLength: 4 });
    const tool = fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('_', '-', '.', 'a', 'b') });
    fc.assert(
      fc.property(parts, SEPARATOR, tool, (servers, separator, name) => {
        const unambiguous = servers.filter((server) => !ambiguousServers(servers, separator).includes(server));
        const all = new Names(unambiguous, separator, 1000);
        for (const server of unambiguous)
          assert.deepEqual(all.toServer(all.toClient(server, name) ?? ''), { server, name });
      }),
      { numRuns: 2000 },
    );
  });

  it('that could be read in two ways are found before anybody asks', () => {
    assert.deepEqual(ambiguousServers(['a', 'a-b', 'c'], '-'), ['a-b']);
    assert.deepEqual(ambiguousServers(['a-', 'a'], '--'), ['a-']);
    assert.deepEqual(ambiguousServers(['a-', 'a', '1'], '__'), []);
  });
});

describe('resources of several servers in one list', () => {
  it('keep a valid URI and come back as they were, templates too', () => {
    for (const uri of ['file:///a b', 'ui://page', 'mcp-b+file:///x', 'test://{id}', 'ui://mcp-b+page', 'x', 'a:\nb']) {
      const marked = uriToClient('one', uri);
      assert.deepEqual(uriToServer(marked), { server: 'one', name: uri }, marked);
    }
    assert.equal(new URL(uriToClient('9-lives', 'file:///x')).protocol, 'mcp-9-lives+file:');
    assert.equal(uriToClient('one', 'ui://page'), 'ui://mcp-one+page');
  });

  it('differ for every two servers and URIs', () => {
    fc.assert(
      fc.property(SERVER, fc.string(), SERVER, fc.string(), (server, uri, other, otherUri) => {
        if (server === other && uri === otherUri) return;
        assert.notEqual(uriToClient(server, uri), uriToClient(other, otherUri));
      }),
    );
  });

  it('that no server can be read from are nobody’s', () => {
    for (const uri of ['file:///x', 'mcp-+x', 'mcp-A+x', 'ui://page', 'xmcp-a+x', '', 'mcp-a+ui://page']) {
      assert.equal(uriToServer(uri), undefined, uri);
    }
  });
});
