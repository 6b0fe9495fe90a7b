import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { openSealing, type RotatingSealing } from '../../../../src/platform/sealing/sealing-keys.ts';
import { FormTokens } from '../../../../src/relay/admin/access/form-token.ts';
import type { Operator } from '../../../../src/relay/admin/access/operator.ts';

const OPERATOR: Operator = { person: { subject: 'operator', issuer: '' }, way: 'password' };

describe('forms of the admin pages', () => {
  const key = () => randomBytes(32).toString('base64url');
  const [old, next] = [key(), key()];
  const opened: RotatingSealing[] = [];
  const open = (config: { keys?: string; keysPath?: string }) => {
    const sealing = openSealing(config, { log: pino({ level: 'silent' }), shared: true, keysAt: 'k', what: 'forms' });
    opened.push(sealing);
    return sealing;
  };
  after(() => {
    for (const sealing of opened) sealing.close();
  });
  const replica = (keys: string, now = () => 1_000) => new FormTokens(open({ keys }), now);

  it('stay good in every replica at each step of a rotation of relay.sessionKey', () => {
    const steps = [old, `${old},${next}`, `${next},${old}`, next].map((keys) => replica(keys));
    for (const [at, before] of steps.slice(0, -1).entries()) {
      const after = steps[at + 1] as FormTokens;
      // The first step only adds what opens, the last one takes away what seals no more.
      if (at !== 2) assert.ok(after.isGood(before.make(OPERATOR), OPERATOR), `forward ${at}`);
      if (at !== 0) assert.ok(before.isGood(after.make(OPERATOR), OPERATOR), `back ${at}`);
    }
    assert.ok(!steps[3]?.isGood(steps[0]?.make(OPERATOR) as string, OPERATOR), 'a key that is gone proves nothing');
  });

  it('are of all replicas that read one file, before and after it is rotated', () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-forms-'));
    const keysPath = join(folder, 'keys');
    writeFileSync(keysPath, old);
    const [one, two] = [open({ keysPath }), open({ keysPath })].map((sealing) => new FormTokens(sealing, () => 1_000));
    const before = one?.make(OPERATOR) as string;
    assert.ok(two?.isGood(before, OPERATOR));
    writeFileSync(keysPath, `${next}\n${old}\n`);
    utimesSync(keysPath, 1, 1);
    const after = new FormTokens(open({ keysPath }), () => 1_000);
    assert.ok(after.isGood(before, OPERATOR));
    assert.ok(one?.isGood(after.make(OPERATOR), OPERATOR), 'a key that is not known is looked up in the file');
    assert.ok(one?.isGood(before, OPERATOR));
    rmSync(folder, { recursive: true });
  });

  it('are of one process alone where no key is shared', () => {
    const [one, other] = [open({}), open({})].map((sealing) => new FormTokens(sealing, () => 1_000));
    const token = one?.make(OPERATOR) as string;
    assert.ok(one?.isGood(token, OPERATOR));
    assert.ok(!other?.isGood(token, OPERATOR));
  });

  it('are for one operator, who signed in one way, and for an hour', () => {
    let at = 0;
    const tokens = replica(old, () => at);
    const token = tokens.make(OPERATOR);
    const another = { ...OPERATOR, person: { ...OPERATOR.person, subject: 'another' } };
    for (const operator of [another, { ...OPERATOR, way: 'group' as const }])
      assert.ok(!tokens.isGood(token, operator));
    for (const wrong of ['', '.', `9${token}`, token.slice(0, -4), `${token}=`])
      assert.ok(!tokens.isGood(wrong, OPERATOR));
    at = 3_599_999;
    assert.ok(tokens.isGood(token, OPERATOR));
    at = 3_600_000;
    assert.ok(!tokens.isGood(token, OPERATOR));
  });
});
