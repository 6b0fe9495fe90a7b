import assert from 'node:assert/strict';
import { programOrSkip, resolveProgram } from './programs.ts';

describe('programs for tests', () => {
  const kept = { path: process.env.POSTERN_TEST_CADDY, ci: process.env.CI };
  const set = (name: 'POSTERN_TEST_CADDY' | 'CI', value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  afterEach(() => {
    set('POSTERN_TEST_CADDY', kept.path);
    set('CI', kept.ci);
  });

  it('come from the environment first', async () => {
    set('POSTERN_TEST_CADDY', process.execPath);
    assert.deepEqual(await resolveProgram('caddy'), {
      program: { kind: 'binary', path: process.execPath, from: 'environment' },
    });
  });

  it('are not replaced by another where the environment names a wrong one', async () => {
    set('POSTERN_TEST_CADDY', '/nonexistent/caddy');
    assert.deepEqual(await resolveProgram('caddy'), {
      missing: 'POSTERN_TEST_CADDY=/nonexistent/caddy cannot be executed',
    });
  });

  it('are skipped with a reason on a desk, and a failure in CI', async () => {
    set('POSTERN_TEST_CADDY', '/nonexistent/caddy');
    set('CI', undefined);
    let skipped = false;
    const context = {
      skip: () => {
        skipped = true;
        throw new Error('skipped');
      },
    } as unknown as Mocha.Context;
    await assert.rejects(programOrSkip(context, 'caddy'), /skipped/);
    assert.equal(skipped, true);
    set('CI', 'true');
    await assert.rejects(programOrSkip(context, 'caddy'), /needed in CI: .*cannot be executed/);
  });
});
