import assert from 'node:assert/strict';
import { insufficientScope } from '../../../src/relay/gate/insufficient-scope.ts';

const demand = {
  always: [],
  entries: [
    { by: 'tool', glob: 'delete_*', scopes: ['admin'], held: false },
    { by: 'resource', glob: 'file:///etc/*', scopes: ['admin'], held: false },
  ],
  metadataUrl: undefined,
} as const;

describe('scopes that are left to the relay', () => {
  for (const name of [
    'delete_repo',
    'Delete_repo',
    'delete\u200b_repo',
    'ｄｅｌｅｔｅ_repo',
    ' delete_repo',
    'de\u00adlete_x',
  ])
    it(`are asked for a tool however it is spelled: ${JSON.stringify(name)}`, () => {
      assert.equal(insufficientScope(demand, { id: 1, method: 'tools/call', params: { name } })?.status, 403);
    });

  for (const uri of [
    'file:///etc/passwd',
    'FILE:///etc/passwd',
    'file:///data/../etc/x',
    'file:///%65tc/x',
    'file:////etc/x',
  ])
    it(`are asked for a resource however it is spelled: ${uri}`, () => {
      assert.equal(insufficientScope(demand, { id: 1, method: 'resources/read', params: { uri } })?.status, 403);
    });

  for (const method of [
    'TOOLS/call',
    'tools/call ',
    ' tools/call',
    'tools/call\n',
    'ｔools/call',
    'tools/\u200bcall',
    'tools/ca\u0000ll',
  ])
    it(`are asked for however the method is spelled: ${JSON.stringify(method)}`, () => {
      assert.equal(insufficientScope(demand, { id: 1, method, params: { name: 'delete_x' } })?.status, 403);
      assert.equal(insufficientScope(demand, { id: 1, method, params: { name: 'search' } }), undefined);
    });

  it('are asked for by a subscription however its method is spelled', () => {
    const params = { notifications: { resourceSubscriptions: ['file:///etc/x'] } };
    for (const method of ['subscriptions/listen', 'Subscriptions/Listen', 'subscriptions/listen '])
      assert.equal(insufficientScope(demand, { id: 1, method, params })?.status, 403, method);
  });

  it('are not asked for others', () => {
    assert.equal(insufficientScope(demand, { id: 1, method: 'tools/call', params: { name: 'search' } }), undefined);
    assert.equal(
      insufficientScope(demand, { id: 1, method: 'resources/read', params: { uri: 'file:///data/x' } }),
      undefined,
    );
  });
});
