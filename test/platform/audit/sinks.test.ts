import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open as openHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Registry } from 'prom-client';
import { AuditLog } from '../../../src/platform/audit/audit-log.ts';
import type { AuditSink } from '../../../src/platform/audit/audit-sink.ts';
import { FileSink } from '../../../src/platform/audit/file-sink.ts';
import { readLastLine } from '../../../src/platform/audit/last-line.ts';
import { stdoutSink } from '../../../src/platform/audit/stdout-sink.ts';
import { verifyChain } from '../../../src/platform/audit/verify.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { createAuditMetrics } from '../../../src/platform/metrics.ts';
import { until } from '../../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-audit-'));
let number = 0;
const path = () => join(folder, `${++number}.jsonl`);
const log = createLogger('test', 'silent');

interface Opened {
  readonly audit: AuditLog;
  readonly dropped: () => Promise<number>;
}

function open(sink: AuditSink, settings: object = {}): Opened {
  const { audit: config } = parseConfig({ audit: settings });
  const metrics = createAuditMetrics(new Registry());
  const audit = new AuditLog(config, [sink], { process: 'relay', log, now: () => 1_700_000_000_000, metrics });
  const dropped = async () => (await metrics.dropped.get()).values[0]?.value ?? 0;
  return { audit, dropped };
}

async function openFile(file: string, settings: object = {}, more: object = {}): Promise<Opened> {
  const options = { ...NEVER, ...more };
  return open(await FileSink.open({ path: file, ...options }), settings);
}

const NEVER = { maxSize: 1e9, maxAge: 1e9, maxFiles: 3, sync: 'never' as const, now: () => 1_700_000_000_000 };
const CHAIN = { chain: { enabled: true } };
const linesOf = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n');

function write(audit: AuditLog, from: number, to: number): void {
  for (let user = from; user <= to; user++)
    audit.record({ event: 'decision', outcome: 'allow', identity: { issuer: '', subject: `u${user}` } });
}

/** A sink in the hands of the test. */
class FailingSink implements AuditSink {
  readonly name = 'file';
  readonly lastLine = undefined;
  readonly written: string[] = [];
  fails = true;

  async write(lines: readonly string[]): Promise<void> {
    if (this.fails) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    this.written.push(...lines);
  }

  async close(): Promise<void> {}
}

describe('the audit log', () => {
  after(() => rmSync(folder, { recursive: true }));

  describe('audit lines', () => {
    it('are JSON, one a line, without secrets, and no name makes a line of its own', async () => {
      const file = path();
      const { audit } = await openFile(file);
      audit.record({
        event: 'denial',
        outcome: 'refused',
        identity: {
          issuer: '',
          subject: 'eve\n{"event":"decision","outcome":"allow","user":"admin"}\u2028\u202e\u001b[2J',
        },
        object: 'x'.repeat(5000),
        reason: 'Bearer abcdefghijklmnop',
        arguments: { password: 'hunter2', note: 'fine' },
      });
      await audit.close(5_000);
      const lines = linesOf(file);
      assert.equal(lines.length, 1);
      const line = JSON.parse(lines[0] as string);
      assert.deepEqual(line.arguments, { password: '[redacted]', note: 'fine' });
      assert.equal(line.reason, 'Bearer [redacted]');
      assert.ok(line.object.length < 1100);
      assert.doesNotMatch(line.user, /[\p{Cc}\p{Cf}\p{Zl}]/u);
      assert.equal(line.time, '2023-11-14T22:13:20.000Z');
    });

    it('go to standard output as well, as fast as it is read', async () => {
      const got: string[] = [];
      const out = new Writable({
        write: (chunk, _encoding, done) => {
          got.push(String(chunk));
          setImmediate(done);
        },
      });
      const { audit } = open(stdoutSink(out));
      write(audit, 1, 3);
      await audit.close(5_000);
      assert.equal(got.join('').trimEnd().split('\n').length, 3);
    });
  });

  describe('an audit file', () => {
    it('is followed by another when it is large, and only so many are kept', async () => {
      const file = path();
      const { audit } = await openFile(file, CHAIN, { maxSize: 400, maxFiles: 2 });
      const name = file.slice(folder.length + 1);
      for (let user = 1; user <= 9; user++) {
        write(audit, user, user);
        // What is written together stays together, whatever its size.
        await until('the line is written', () => existsSync(file) && readFileSync(file, 'utf8').includes(`u${user}"`));
      }
      await audit.close(5_000);
      const files = readdirSync(folder)
        .filter((entry) => entry.startsWith(name))
        .sort();
      assert.deepEqual(files, [name, `${name}.1`, `${name}.2`]);
      const report = await verifyChain([`${file}.2`, `${file}.1`, file], undefined);
      assert.deepEqual(report.problems, []);
      assert.equal(report.lastSeq, 9);
      assert.ok(report.firstSeq > 1);
    });

    it('is followed by another when it is old', async () => {
      const file = path();
      let now = Date.now();
      const { audit } = await openFile(file, {}, { maxAge: 1000, now: () => now });
      write(audit, 1, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      now += 2000;
      write(audit, 2, 2);
      await audit.close(5_000);
      assert.match(readFileSync(`${file}.1`, 'utf8'), /u1/);
      assert.match(readFileSync(file, 'utf8'), /u2/);
    });

    it('goes on after a restart, over what a crash left half written', async () => {
      const file = path();
      const before = await openFile(file, CHAIN);
      write(before.audit, 1, 2);
      await before.audit.close(5_000);
      writeFileSync(file, `${readFileSync(file, 'utf8')}{"time":"20`);
      const { audit } = await openFile(file, CHAIN);
      write(audit, 3, 4);
      await audit.close(5_000);
      const report = await verifyChain([file], undefined);
      assert.deepEqual([report.problems, report.lines, report.lastSeq], [[], 4, 4]);
    });

    /** Text of the arguments of one call, whose line is then about this long. */
    const long = (bytes: number) =>
      Object.fromEntries(Array.from({ length: Math.ceil(bytes / 1_000) }, (_, at) => [`a${at}`, 'é'.repeat(497)]));

    for (const bytes of [1_000, 63_000, 64_000, 65_000, 66_000, 70_000, 131_000, 1_000_000, 5_000_000])
      for (const tail of ['', '{"time":"20', `{"time":"${'x'.repeat(200_000)}`])
        it(`goes on after a line of about ${bytes} bytes and ${tail.length} half written ones`, async () => {
          const file = path();
          const before = await openFile(file, CHAIN);
          write(before.audit, 1, 2);
          before.audit.record({
            event: 'tool_call',
            outcome: 'allow',
            identity: { issuer: '', subject: 'u3' },
            arguments: long(bytes),
          });
          await before.audit.close(5_000);
          writeFileSync(file, `${readFileSync(file, 'utf8')}${tail}`);
          const { audit } = await openFile(file, CHAIN);
          write(audit, 4, 5);
          await audit.close(5_000);
          const report = await verifyChain([file], undefined);
          assert.deepEqual([report.problems, report.lines, report.lastSeq], [[], 5, 5]);
        });

    it('goes on after lines of every length around the first read', async () => {
      for (let length = 65_530; length <= 65_542; length++) {
        const file = path();
        writeFileSync(file, `${'x'.repeat(length - 1)}\n`);
        const sink = await FileSink.open({ path: file, ...NEVER });
        assert.equal(sink.lastLine?.length, length - 1, String(length));
        await sink.close();
      }
    });

    it('goes on in the next file after a long last line, which the one before it keeps', async () => {
      const file = path();
      const before = await openFile(file, CHAIN);
      before.audit.record({
        event: 'tool_call',
        outcome: 'allow',
        identity: { issuer: '', subject: 'u1' },
        arguments: long(300_000),
      });
      await before.audit.close(5_000);
      renameSync(file, `${file}.1`);
      for (const there of [undefined, '', '{"time":']) {
        if (there !== undefined) writeFileSync(file, there);
        const { audit } = await openFile(file, CHAIN);
        write(audit, 2, 3);
        await audit.close(5_000);
        const report = await verifyChain([`${file}.1`, file], undefined);
        assert.deepEqual([report.problems, report.lastSeq], [[], 3]);
      }
    });

    it('keeps a whole line whose newline is missing', async () => {
      for (const bytes of [10, 66_000]) {
        const file = path();
        const before = await openFile(file, CHAIN);
        before.audit.record({
          event: 'tool_call',
          outcome: 'allow',
          identity: { issuer: '', subject: 'u1' },
          arguments: long(bytes),
        });
        await before.audit.close(5_000);
        writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
        const { audit } = await openFile(file, CHAIN);
        write(audit, 2, 2);
        await audit.close(5_000);
        const report = await verifyChain([file], undefined);
        assert.deepEqual([report.problems, report.lines], [[], 2]);
      }
    });

    it('that is empty begins a chain', async () => {
      const file = path();
      writeFileSync(file, '');
      const { audit } = await openFile(file, CHAIN);
      write(audit, 1, 1);
      await audit.close(5_000);
      const report = await verifyChain([file], undefined);
      assert.deepEqual([report.problems, report.firstSeq], [[], 1]);
    });

    it('without a line at its end is read back to a bound', async () => {
      const file = path();
      writeFileSync(file, 'x'.repeat(200_000));
      const handle = await openHandle(file);
      await assert.rejects(readLastLine(handle, 200_000, 65_536), /no line ends in its last 65536 bytes/);
      await handle.close();
    });

    it('that cannot be opened ends the start with its path', async () => {
      await assert.rejects(openFile(join(folder, 'no', 'such', 'folder')), /audit\.file\.path: .*ENOENT/);
    });
  });

  describe('a chain of hashes', () => {
    async function chain(key?: string): Promise<string> {
      const file = path();
      const { audit } = await openFile(file, { chain: { enabled: true, ...(key === undefined ? {} : { key }) } });
      write(audit, 1, 5);
      await audit.close(5_000);
      return file;
    }
    const tampered: Array<[title: string, change: (lines: string[]) => string[], problem: RegExp]> = [
      ['a removed line', (lines) => lines.toSpliced(2, 1), /:3: does not follow line 2/],
      ['a changed line', (lines) => lines.with(2, (lines[2] as string).replace('u3', 'u9')), /:3: was changed/],
      ['two lines in another order', ([a, b, c, ...rest]) => [a, c, b, ...rest] as string[], /:2: does not follow/],
      ['a line twice', (lines) => lines.toSpliced(2, 0, lines[1] as string), /:3: does not follow/],
      [
        'a line of another making',
        (lines) => lines.toSpliced(2, 0, '{"event":"decision"}'),
        /:3: is not a line of a chain/,
      ],
      ['a new number', (lines) => lines.with(2, (lines[2] as string).replace('"seq":3', '"seq":4')), /:3: was changed/],
    ];
    for (const [title, change, problem] of tampered)
      it(`shows ${title}`, async () => {
        const file = await chain();
        writeFileSync(file, `${change(linesOf(file)).join('\n')}\n`);
        const { problems } = await verifyChain([file], undefined);
        assert.match(problems[0] as string, problem);
      });

    it('shows lines missing at the end by a hash that was kept', async () => {
      const file = await chain();
      const { lastHash } = await verifyChain([file], undefined);
      writeFileSync(file, `${linesOf(file).slice(0, 3).join('\n')}\n`);
      assert.deepEqual((await verifyChain([file], undefined)).problems, []);
      assert.match((await verifyChain([file], undefined, lastHash)).problems[0] as string, /is not in the chain/);
    });

    it('with a key cannot be made anew without it', async () => {
      const file = await chain('secret of the operator');
      assert.deepEqual((await verifyChain([file], 'secret of the operator')).problems, []);
      assert.equal((await verifyChain([file], 'another')).problems.length, 5);
      assert.equal((await verifyChain([file], undefined)).problems.length, 5);
    });
  });

  describe('a sink that fails', () => {
    it('is tried again, drops beyond its queue, counts that, and says so in the log itself', async () => {
      const sink = new FailingSink();
      const { audit, dropped } = open(sink, { maxQueue: 3, chain: { enabled: true } });
      write(audit, 1, 5);
      assert.equal(await dropped(), 2);
      assert.equal(audit.accepting, true);
      sink.fails = false;
      await audit.close(5_000);
      assert.deepEqual(
        sink.written.map((line) => JSON.parse(line).user ?? JSON.parse(line).reason),
        ['u1', 'u2', 'u3', '2 lines were dropped'],
      );
      assert.equal(await dropped(), 2);
    });

    it('makes requests be refused where that is wanted, and not for longer than needed', async () => {
      const sink = new FailingSink();
      const { audit, dropped } = open(sink, { maxQueue: 2, whenFull: 'refuse' });
      assert.equal(audit.accepting, true);
      write(audit, 1, 2);
      assert.equal(audit.accepting, false);
      write(audit, 3, 4);
      assert.equal(await dropped(), 0, 'what was let in before has a place');
      write(audit, 5, 5);
      assert.equal(await dropped(), 1);
      sink.fails = false;
      for (let wait = 0; !audit.accepting && wait < 100; wait++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(audit.accepting, true);
      await audit.close(5_000);
      assert.equal(sink.written.length, 5, 'four lines, and one that says what is missing');
    });

    it('does not keep the end of the process, and what is lost then is counted', async () => {
      const { audit, dropped } = open(new FailingSink());
      write(audit, 1, 4);
      await audit.close(50);
      assert.equal(await dropped(), 4);
    });

    it('that is a full disk leaves no half line', async function () {
      if (process.platform !== 'linux') this.skip();
      const { audit, dropped } = await openFile('/dev/full', { maxQueue: 1 });
      write(audit, 1, 3);
      await audit.close(50);
      assert.equal(await dropped(), 3);
    });
  });
});
