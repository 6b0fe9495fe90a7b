import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type FileWatch, watchFiles } from '../../../src/platform/reloading/file-watch.ts';
import { until } from '../../support/until.ts';

/** Milliseconds between two looks. */
const EVERY = 20;

describe('watching a file', () => {
  let folder: string;
  let file: string;
  let told = 0;
  let watched: FileWatch | undefined;
  const watch = (path = file) => {
    told = 0;
    watched = watchFiles(
      [path],
      () => {
        told += 1;
      },
      EVERY,
    );
  };
  /** Long enough for a second call, if there were one. */
  const quiet = () => delay(10 * EVERY);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-watch-'));
    file = join(folder, 'postern.yaml');
    writeFileSync(file, 'a: 1');
  });
  afterEach(() => {
    watched?.close();
    rmSync(folder, { recursive: true });
  });

  it('says nothing of a file that stays', async () => {
    watch();
    await quiet();
    assert.equal(told, 0);
  });

  it('tells once of a burst of writes', async () => {
    watch();
    for (let i = 0; i < 20; i++) writeFileSync(file, `a: ${i}`);
    await until('it is told', () => told === 1);
    await quiet();
    assert.equal(told, 1);
  });

  it('says nothing of a change that was read for another reason, and tells the next', async () => {
    watch();
    writeFileSync(file, 'a: 2');
    watched?.passOver();
    await quiet();
    assert.equal(told, 0);
    renameSync(file, `${file}.old`);
    writeFileSync(file, 'a: 3, of an editor');
    watched?.passOver();
    await quiet();
    assert.equal(told, 0);
    writeFileSync(file, 'a: 4, and so on');
    await until('it is told', () => told === 1);
  });

  it('waits for a file that is still being written', async () => {
    watch();
    const end = Date.now() + 15 * EVERY;
    for (let i = 0; Date.now() < end; i++) {
      writeFileSync(file, 'a: 1\n'.repeat(i));
      assert.equal(told, 0);
      await delay(1);
    }
    await until('it is told', () => told === 1);
  });

  it('sees a file that an editor puts in the place of the old one, again and again', async () => {
    watch();
    for (let round = 1; round <= 3; round++) {
      writeFileSync(`${file}.new`, 'a: 2');
      renameSync(`${file}.new`, file);
      await until('it is told', () => told === round);
    }
  });

  it('sees Kubernetes turn the link ..data to another folder', async () => {
    const put = (name: string, text: string) => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'mounted.yaml'), text);
      symlinkSync(name, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    };
    put('..one', 'a: 1');
    symlinkSync('..data/mounted.yaml', join(folder, 'mounted.yaml'));
    watch(join(folder, 'mounted.yaml'));
    put('..two', 'a: 1');
    await until('it is told', () => told === 1);
    put('..three', 'a: 2');
    await until('it is told', () => told === 2);
  });

  it('tells of a file that is gone, and of its return', async () => {
    watch();
    unlinkSync(file);
    await until('it is told', () => told === 1);
    writeFileSync(file, 'a: 3');
    await until('it is told', () => told === 2);
  });

  it('tells once of several files that change together, and looks at others from then on', async () => {
    const [other, third] = [join(folder, 'other'), join(folder, 'third')];
    writeFileSync(other, 'a');
    writeFileSync(third, 'a');
    watch();
    watched?.watch([file, other]);
    writeFileSync(file, 'a: 22');
    writeFileSync(other, 'bb');
    await until('it is told', () => told === 1);
    await quiet();
    assert.equal(told, 1);
    watched?.watch([third]);
    writeFileSync(other, 'ccc');
    await quiet();
    assert.equal(told, 1);
    writeFileSync(third, 'bb');
    await until('it is told', () => told === 2);
  });
});
