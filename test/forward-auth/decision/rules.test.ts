import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HIDDEN } from '../../../src/forward-auth/decision/mcp-operation.ts';
import { ANONYMOUS } from '../../../src/identity/identity.ts';
import { compileRules, imagineIdentity, imagineRequest } from '../support/imagined.ts';

describe('Rules', () => {
  describe('match', () => {
    const rules = compileRules([
      { match: { path: '/a/private' } },
      { match: { path: '/a/**', methods: ['GET', 'HEAD'] }, public: true },
      { match: { host: 'other.example.com' } },
      { match: { path: '/a/**', host: '*.example.com' }, allow: { groups: ['x'] } },
    ]);
    const matched = (path: string, method = 'GET', host = 'mcp.example.com') =>
      rules.match(imagineRequest(path, { method, host }))?.name;

    it('takes the first that matches, not the nearest', () => {
      assert.equal(matched('/a/private'), 'auth.rules[0]');
      assert.equal(matched('/a/private/x'), 'auth.rules[1]');
      assert.equal(matched('/a/x', 'GET', 'other.example.com'), 'auth.rules[1]');
    });
    it('wants all that a rule says: path, host and method', () => {
      assert.equal(matched('/a/x', 'HEAD'), 'auth.rules[1]');
      assert.equal(matched('/a/x', 'POST'), 'auth.rules[3]');
      assert.equal(matched('/a/x', 'POST', 'mcp.example.org'), undefined);
      assert.equal(matched('/b', 'POST', 'other.example.com'), 'auth.rules[2]');
      assert.equal(matched('/b', 'POST', 'other.example.com:8443'), 'auth.rules[2]');
    });
    it('has no answer where none matches, and none where there are none', () => {
      assert.equal(matched('/b'), undefined);
      assert.equal(compileRules([]).match(imagineRequest('/')), undefined);
    });
    it('takes a rule without conditions for every request', () => {
      const all = compileRules([{ match: {} }]);
      assert.equal(all.match(imagineRequest('/x', { method: 'DELETE', host: 'h' }))?.name, 'auth.rules[0]');
      assert.equal(all.match(imagineRequest('/x'))?.public, false);
    });
  });

  describe('match, of a path with several readings', () => {
    const rules = compileRules([
      { match: { path: '/packages/admin/**' }, allow: { groups: ['admins'] } },
      { match: { path: '/packages/**', methods: ['GET'] }, public: true, encodedDelimiters: true },
      { match: { path: '/packages/**' }, public: true },
      { match: { path: '/plain/**' }, public: true },
    ]);
    const matched = (readings: string[], method = 'GET') =>
      rules.match({ ...imagineRequest(readings[0] as string, { method }), readings })?.name;

    it('takes the rule that all lead to', () => {
      assert.equal(matched(['/packages/@types/node', '/packages/@types%2fnode']), 'auth.rules[1]');
      assert.equal(matched(['/packages/C#', '/packages/C', '/packages/C%23']), 'auth.rules[1]');
    });
    it('has none where one leads to another rule, or to none', () => {
      assert.equal(matched(['/packages/admin/x', '/packages/admin%2fx']), undefined);
      assert.equal(matched(['/packages/admin#', '/packages/admin', '/packages/admin%23']), undefined);
      assert.equal(matched(['/packages/x', '/packages%2fx']), undefined);
    });
    it('has none where the rule does not take them', () => {
      assert.equal(matched(['/packages/a/b', '/packages/a%2fb'], 'POST'), undefined);
      assert.equal(matched(['/plain/a/b', '/plain/a%2fb']), undefined);
    });
  });

  it('a rule takes encoded delimiters for everything below a path only', () => {
    for (const path of ['/packages/**', '/**', undefined])
      compileRules([{ match: path === undefined ? {} : { path }, public: true, encodedDelimiters: true }]);
    for (const path of ['/packages', '/packages/*', '/*/x/**', '/packages/*/**', '/packages/**/x'])
      assert.throws(
        () => compileRules([{ match: { path }, public: true, encodedDelimiters: true }]),
        /encodedDelimiters.*ends in \/\*\*/s,
        path,
      );
  });

  describe('admits', () => {
    const admits = (allow: object | undefined, identity: Parameters<typeof imagineIdentity>[0]) =>
      compileRules([{ match: {}, ...(allow && { allow }) }])
        .match(imagineRequest('/'))
        ?.admits(imagineIdentity(identity));

    it('everybody signed in where it names nobody', () => assert.equal(admits(undefined, {}), true));
    it('a named user by subject, never by address or name', () => {
      assert.equal(admits({ users: ['alice'] }, { subject: 'alice' }), true);
      assert.equal(admits({ users: ['alice'] }, { subject: 'Alice' }), false);
      assert.equal(admits({ users: ['alice'] }, { subject: 'bob', email: 'alice', name: 'alice' }), false);
    });
    it('a member of one of the groups, whole names only', () => {
      assert.equal(admits({ groups: ['ops', 'dev'] }, { groups: ['x', 'dev'] }), true);
      assert.equal(admits({ groups: ['dev'] }, { groups: ['devs', 'de', 'dev,ops'] }), false);
      assert.equal(admits({ groups: ['dev'] }, { subject: 'dev', groups: [] }), false);
    });
    it('a user or a member where both are named', () => {
      const allow = { users: ['alice'], groups: ['dev'] };
      assert.equal(admits(allow, { subject: 'alice' }), true);
      assert.equal(admits(allow, { subject: 'bob', groups: ['dev'] }), true);
      assert.equal(admits(allow, { subject: 'bob', groups: ['alice'] }), false);
    });
    it('no anonymous where it names somebody', () => {
      assert.equal(admits({ users: ['alice'] }, ANONYMOUS), false);
      assert.equal(admits({ groups: ['dev'] }, ANONYMOUS), false);
    });
  });

  describe('scopesFor', () => {
    const rule = compileRules([
      {
        match: {},
        scopes: {
          default: ['use', 'use'],
          methods: { 'tools/*': ['tools'], 'resources/read': ['read', 'use'] },
          tools: { 'delete_*': ['admin'], '*_repo': ['repo'] },
        },
      },
    ]).match(imagineRequest('/'));
    const scopes = (method: string, tool?: string) => rule?.scopes.of({ method, tool });

    const spelt: Array<[what: string, change: (name: string) => string]> = [
      ['in another case', (name) => name[0]?.toUpperCase() + name.slice(1)],
      ['in capitals', (name) => name.toUpperCase()],
      ['in full width', (name) => name.replace(/[!-~]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0))],
      ['with a zero-width space', (name) => `${name.slice(0, 3)}\u200b${name.slice(3)}`],
      ['with a joiner and a soft hyphen', (name) => `\u200d${name.slice(0, 5)}\u00ad${name.slice(5)}`],
      ['with a combining mark', (name) => `${name.slice(0, 2)}\u0332${name.slice(2)}`],
      ['with mathematical letters', (name) => name.replace('e', '\u{1d41e}')],
      ['with space around it', (name) => ` ${name}\u00a0`],
    ];
    for (const [what, change] of spelt)
      it(`asks of a name ${what} what the server may take it for`, () => {
        assert.deepEqual(scopes('tools/call', change('delete_item')), ['use', 'tools', 'admin']);
        assert.deepEqual(scopes('tools/call', change('rewrite_repo')), ['use', 'tools', 'repo']);
        assert.deepEqual(scopes(change('resources/read')), ['use', 'read']);
        assert.deepEqual(scopes('tools/call', change('list')), ['use', 'tools'], 'and no more');
      });

    it('asks of a dotted capital what the server may take it for', () => {
      const turkish = compileRules([{ match: {}, scopes: { tools: { 'write_*': ['write'] } } }]);
      const of = turkish.match(imagineRequest('/'))?.scopes.of({ method: 'tools/call', tool: 'WR\u0130TE_x' });
      assert.deepEqual(of, ['write']);
    });

    it('asks of a URI what the server may take it for', () => {
      const [own] = [{ match: {}, scopes: { resources: { 'file:///etc/*': ['root'] } } }];
      const uris = compileRules([own]).match(imagineRequest('/'))?.scopes;
      const of = (resource: string) => uris?.of({ method: 'resources/read', tool: undefined, resource });
      for (const uri of ['file:///etc/x', 'FILE:///etc/x', 'file:///a/../etc/x', 'file:///%65tc/x', 'file:////etc//x'])
        assert.deepEqual(of(uri), ['root'], uri);
      assert.deepEqual(of('file:///home/etc/x'), []);
    });

    it('adds up the default, the method and the tool, each once', () => {
      assert.deepEqual(scopes('ping'), ['use']);
      assert.deepEqual(scopes('tools/list'), ['use', 'tools']);
      assert.deepEqual(scopes('resources/read'), ['use', 'read']);
      assert.deepEqual(scopes('tools/call', 'list'), ['use', 'tools']);
      assert.deepEqual(scopes('tools/call', 'delete_x'), ['use', 'tools', 'admin']);
      assert.deepEqual(scopes('tools/call', 'delete_repo'), ['use', 'tools', 'admin', 'repo']);
    });
    it('asks for the default alone where there is no operation', () =>
      assert.deepEqual(rule?.scopes.of(undefined), ['use']));
    it('asks for every scope where the operation is hidden', () => {
      assert.deepEqual(rule?.scopes.of(HIDDEN), ['use', 'tools', 'read', 'admin', 'repo']);
      assert.deepEqual(rule?.scopes.of(HIDDEN), rule?.scopes.all);
    });
    it('asks a hidden operation for no more than the default where no operation needs more', () => {
      const plain = compileRules([{ match: {}, scopes: { default: ['use'] } }]).match(imagineRequest('/'));
      assert.deepEqual(plain?.scopes.of(HIDDEN), ['use']);
      assert.deepEqual(
        compileRules([{ match: {} }])
          .match(imagineRequest('/'))
          ?.scopes.of(HIDDEN),
        [],
      );
    });
    it('asks a hidden operation for whatever any visible one needs', () => {
      fc.assert(
        fc.property(fc.constantFrom('ping', 'tools/call', 'resources/read', 'x'), fc.string(), (method, tool) => {
          for (const scope of scopes(method, tool) ?? []) assert.ok(rule?.scopes.of(HIDDEN).includes(scope), scope);
        }),
      );
    });
  });

  describe('covers', () => {
    const rules = compileRules([], {
      admin: ['write', 'audit'],
      write: ['read'],
      ring1: ['ring2'],
      ring2: ['ring3'],
      ring3: ['ring1'],
      self: ['self', 'below'],
    });
    const rows: Array<[granted: string[], needed: string[], covered: boolean]> = [
      [[], [], true],
      [['read'], [], true],
      [[], ['read'], false],
      [['read'], ['read'], true],
      [['READ'], ['read'], false],
      [['write'], ['read'], true],
      [['read'], ['write'], false],
      [['admin'], ['read', 'audit', 'write', 'admin'], true],
      [['write'], ['read', 'audit'], false],
      [['write', 'audit'], ['read', 'audit'], true],
      [['ring1'], ['ring3'], true],
      [['ring3'], ['ring2', 'ring1'], true],
      [['ring1'], ['read'], false],
      [['self'], ['below'], true],
      [['below'], ['self'], false],
      [['unknown'], ['read'], false],
      [['__proto__', 'constructor'], ['read'], false],
    ];
    for (const [granted, needed, covered] of rows)
      it(`[${granted}] ${covered ? 'is' : 'is not'} enough for [${needed}]`, () =>
        assert.equal(rules.covers(granted, needed), covered));

    it('is what walking the hierarchy finds, whatever it looks like', () => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const scope = fc.constantFrom(...names);
      const hierarchy = fc.dictionary(scope, fc.array(scope, { maxLength: 3 }));
      fc.assert(
        fc.property(hierarchy, scope, scope, (edges, granted, needed) => {
          let reached = new Set([granted]);
          for (let i = 0; i < names.length; i++)
            reached = new Set([...reached, ...[...reached].flatMap((name) => edges[name] ?? [])]);
          assert.equal(compileRules([], edges).covers([granted], [needed]), reached.has(needed));
        }),
      );
    });
  });

  it('names the scopes of a resource from every rule that may match there, at its host, without offline_access', () => {
    const rules = compileRules([
      { match: { path: '/a/**', methods: ['POST'] }, scopes: { default: ['use'], tools: { x: ['admin', 'use'] } } },
      { match: { path: '/b' }, scopes: { default: ['other'] } },
      { match: { host: '*.example.com' }, scopes: { default: ['offline_access', 'use', 'any'] } },
      { match: { host: 'grafana.example.com' }, scopes: { default: ['dashboards'] } },
    ]);
    assert.deepEqual(rules.scopesOf(imagineRequest('/a/b')), ['use', 'admin', 'any']);
    assert.deepEqual(rules.scopesOf(imagineRequest('/c')), ['use', 'any']);
  });
});

describe('a scope hierarchy', () => {
  it('may name scopes that JavaScript knows as something else', () => {
    const rules = compileRules([{ match: { path: '/x' } }], { admin: ['constructor', '__proto__'] });
    assert.ok(rules.covers(['admin'], ['constructor']));
    assert.ok(!rules.covers(['other'], ['constructor']));
  });
});
