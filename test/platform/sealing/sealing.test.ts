import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { openSealing } from '../../../src/platform/sealing/sealing-keys.ts';

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64url');

function open(config: { keys?: string; keysPath?: string }, shared = false) {
  let written = '';
  const log = createLogger('auth', 'debug', {
    write: (line: string) => {
      written += line;
    },
  });
  return {
    sealing: openSealing(config, { log, shared, keysAt: 'auth.sessions.keys', what: 'sessions' }),
    log: () => written,
  };
}

describe('sealing', () => {
  it('opens what it sealed, for the same purpose only', () => {
    const { sealing } = open({ keys: key(1) });
    const sealed = sealing.seal('state 1', 'text é');
    assert.match(sealed, /^[\w-]+$/);
    assert.equal(sealing.open('state 1', sealed)?.toString(), 'text é');
    assert.equal(sealing.open('session 1', sealed), undefined);
    assert.notEqual(sealing.seal('state 1', 'text é'), sealed, 'never the same twice');
  });

  for (let length = 0; length < 6; length++)
    it(`opens one spelling only of what it sealed, of ${length} characters`, () => {
      const { sealing } = open({ keys: key(1) });
      const sealed = sealing.seal('p', 'x'.repeat(length));
      for (const other of [
        `${sealed}x`,
        `${sealed}xx`,
        `${sealed}=`,
        `${sealed}==`,
        ` ${sealed}`,
        `${sealed}\n`,
        `${sealed}!`,
      ])
        assert.equal(sealing.open('p', other), undefined, JSON.stringify(other.slice(sealed.length)));
      const last = sealed.at(-1) as string;
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      for (const other of alphabet)
        if (other !== last) assert.equal(sealing.open('p', sealed.slice(0, -1) + other), undefined, other);
    });

  it('answers undefined for every change at every place, and for what is no sealed text', () => {
    const { sealing } = open({ keys: key(1) });
    const bytes = Buffer.from(sealing.seal('p', 'secret'), 'base64url');
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] as number) ^ 1;
      assert.equal(sealing.open('p', changed.toString('base64url')), undefined, `byte ${i}`);
    }
    for (let length = 0; length < bytes.length; length++)
      assert.equal(sealing.open('p', bytes.subarray(0, length).toString('base64url')), undefined);
    for (const text of ['', '=', 'é', 'a b', `${bytes.toString('base64url')}=`, 'A'.repeat(2_000_000)])
      assert.equal(sealing.open('p', text), undefined);
  });

  it('takes keys one a line too, as a file that holds the value has them', () => {
    for (const keys of [`${key(2)}\n${key(1)}\n`, `${key(2)}\r\n# the old one\r\n${key(1)}`]) {
      const both = open({ keys }).sealing;
      assert.equal(both.open('p', open({ keys: key(1) }).sealing.seal('p', 'x'))?.toString(), 'x');
      assert.equal(
        open({ keys: key(2) })
          .sealing.open('p', both.seal('p', 'x'))
          ?.toString(),
        'x',
      );
    }
  });

  it('opens by every configured key and seals by the first', () => {
    const old = open({ keys: key(1) }).sealing;
    const both = open({ keys: `${key(2)}, ${key(1)}` }).sealing;
    const fresh = open({ keys: key(2) }).sealing;
    assert.equal(both.open('p', old.seal('p', 'x'))?.toString(), 'x');
    assert.equal(fresh.open('p', both.seal('p', 'x'))?.toString(), 'x');
    assert.equal(old.open('p', both.seal('p', 'x')), undefined);
  });

  it('names the key of the configuration that is wrong, never its value', () => {
    for (const keys of ['short', `${key(1)},${key(2).slice(2)}`, `${key(1)}+`, ' , '])
      assert.throws(
        () => open({ keys }),
        (error) =>
          error instanceof ConfigurationError &&
          error.message.includes('auth.sessions.keys') &&
          !error.message.includes(key(2).slice(2)) &&
          !error.message.includes('short'),
      );
    assert.throws(
      () => open({ keysPath: '/nonexistent/keys' }),
      /auth\.sessions\.keysPath: \/nonexistent\/keys cannot be read \(ENOENT\)/,
    );
  });

  it('says what is lost without keys where others read the same store', () => {
    assert.match(open({}, true).log(), /auth\.sessions\.keysPath/);
    const { sealing, log } = open({});
    assert.equal(log(), '');
    assert.equal(open({}).sealing.open('p', sealing.seal('p', 'x')), undefined, 'a key of its own');
  });

  it('learns a new key of the file at the first value that needs it, and keeps the old ones where the file is bad', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keys-'));
    const keysPath = join(folder, 'keys');
    await writeFile(keysPath, `# first\n${key(1)}\n`);
    const { sealing, log } = open({ keysPath });
    try {
      const before = sealing.seal('p', 'before');
      await writeFile(keysPath, `${key(3)}\n${key(1)}\n`);
      await wait(1_050);
      const elsewhere = open({ keys: key(3) }).sealing.seal('p', 'elsewhere');
      assert.equal(sealing.open('p', elsewhere)?.toString(), 'elsewhere');
      assert.equal(sealing.open('p', before)?.toString(), 'before');
      await writeFile(keysPath, 'nonsense');
      await wait(1_050);
      assert.equal(sealing.open('p', open({ keys: key(4) }).sealing.seal('p', 'x')), undefined);
      assert.equal(sealing.open('p', before)?.toString(), 'before');
      assert.doesNotMatch(log(), /nonsense/);
    } finally {
      sealing.close();
      await rm(folder, { recursive: true });
    }
  });
});
