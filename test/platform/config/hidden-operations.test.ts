import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/platform/config/load.ts';

describe('auth.hiddenOperations: relay', () => {
  const parse = (trust: object, rules: readonly object[] = []) =>
    parseConfig({ auth: { hiddenOperations: 'relay', rules }, relay: { trust } });
  const assertion = { jwksPath: '/keys.json' };

  it('is taken only where the relay learns what to ask', () => {
    assert.equal(parse({ assertion }).auth.hiddenOperations, 'relay');
    assert.throws(() => parse({}), /auth\.hiddenOperations: needs relay\.trust\.assertion/);
    assert.throws(() => parse({ enabled: false, assertion }), /auth\.hiddenOperations: needs/);
    assert.equal(parseConfig({}).auth.hiddenOperations, 'all-scopes');
  });

  it('is not taken with more scopes than fit beside a request', () => {
    const tools = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`tool_${index}_*`, ['mcp:admin']]));
    assert.throws(() => parse({ assertion }, [{ match: {}, scopes: { tools } }]), /auth\.rules\[0\]\.scopes: longer/);
  });
});
