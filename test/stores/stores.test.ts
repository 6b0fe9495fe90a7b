import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Stores } from '../../src/stores/stores.ts';
import { type ProgramName, programOrSkip } from '../support/programs.ts';
import { type RedisGroup, type RedisServer, startCluster, startRedis, startSentinel } from '../support/redis-server.ts';
import { storesContract } from './contract.ts';
import { open } from './open.ts';

const ALLOWED =
  '+get +mget +set +del +exists +hset +hget +hmget +hdel +pexpire +pexpireat +pttl +incrby +zadd +zrem +zrange +zremrangebyscore ' +
  '+eval +evalsha +publish +subscribe +ping +info +time';

describe('stores in memory', () => {
  let stores: Stores;
  before(async () => {
    stores = await open(undefined);
  });
  after(() => stores.close());
  storesContract(() => stores);
});

for (const name of ['redis', 'valkey'] as const satisfies readonly ProgramName[])
  describe(`stores on one ${name}, as a user who may do no more`, () => {
    let server: RedisServer | undefined;
    let stores: Stores | undefined;
    before(async function () {
      this.timeout(200_000);
      const given = name === 'redis' ? process.env.POSTERN_TEST_REDIS_URL : undefined;
      if (given !== undefined) {
        stores = await open({ url: given, keyPrefix: `postern-test-${process.pid}:` });
        return;
      }
      server = await startRedis(await programOrSkip(this, name), {
        config: ['user default off', `user postern on >s3cret~word ~mine:* &mine:* -@all ${ALLOWED}`],
      });
      stores = await open({ url: server.url, username: 'postern', password: 's3cret~word', keyPrefix: 'mine:' });
    });
    after(async () => {
      await stores?.close();
      await server?.stop();
    });
    storesContract(() => stores as Stores);
  });

describe('stores on Redis over TLS with client certificates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-tls-'));
  const path = (name: string) => join(folder, name);
  let server: RedisServer | undefined;
  let stores: Stores | undefined;
  let url = '';
  const tls = { caPath: path('ca.crt'), certPath: path('us.crt'), keyPath: path('us.key'), serverName: 'redis.test' };

  before(async function () {
    const program = await programOrSkip(this, 'redis');
    makeCertificates(folder);
    server = await startRedis(program, {
      config: [
        'port 0',
        'tls-auth-clients yes',
        'tls-ca-cert-file %folder%/ca.crt',
        'tls-cert-file %folder%/redis.crt',
        'tls-key-file %folder%/redis.key',
        'tls-port %port%',
      ],
      files: Object.fromEntries(
        ['ca.crt', 'redis.crt', 'redis.key'].map((name) => [name, readFileSync(path(name), 'utf8')]),
      ),
    });
    url = `rediss://127.0.0.1:${server.port}/3`;
    stores = await open({ url, tls });
  });
  after(async () => {
    await stores?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  storesContract(() => stores as Stores);

  it('comes up without Redis where the certificate is of another name or authority', async () => {
    for (const wrong of [
      { ...tls, serverName: 'other.test' },
      { serverName: 'redis.test', certPath: tls.certPath, keyPath: tls.keyPath },
    ]) {
      const closed = await open({ url, tls: wrong, connectTimeout: '300ms' });
      assert.equal(await closed.problem(), 'Redis does not answer');
      await closed.close();
    }
  });

  it('names the setting whose file is missing or wrong', async () => {
    writeFileSync(path('empty.crt'), 'nothing');
    const wrong: Array<[object, RegExp]> = [
      [{ ...tls, caPath: path('none.crt') }, /redis\.tls\.caPath: .*none\.crt cannot be read \(ENOENT\)/],
      [{ ...tls, caPath: path('empty.crt') }, /redis\.tls\.caPath: holds no certificate/],
      [{ ...tls, certPath: path('empty.crt') }, /redis\.tls\.certPath: holds no certificate/],
      [{ ...tls, keyPath: path('redis.key') }, /redis\.tls\.keyPath: is not the private key/],
    ];
    for (const [settings, message] of wrong)
      await assert.rejects(open({ url, tls: settings }), { name: 'ConfigurationError', message });
    // Already where the configuration is read, by `check` too.
    await assert.rejects(open({ url: 'redis://127.0.0.1/x' }), /must be redis:\/\/HOST:PORT\/DB/);
  });
});

describe('stores on a cluster of three', () => {
  let cluster: RedisGroup | undefined;
  let stores: Stores | undefined;
  before(async function () {
    this.timeout(200_000);
    cluster = await startCluster(await programOrSkip(this, 'redis'));
    stores = await open({ cluster: { nodes: [`127.0.0.1:${cluster.servers[0]?.port}`] }, keyPrefix: 'c:' });
  });
  after(async () => {
    await stores?.close();
    await cluster?.stop();
  });
  storesContract(() => stores as Stores);
});

describe('stores behind Sentinel', () => {
  let group: RedisGroup & { sentinels: readonly RedisServer[] } = { servers: [], sentinels: [], stop: async () => {} };
  let stores: Stores | undefined;
  before(async function () {
    this.timeout(200_000);
    group = await startSentinel(await programOrSkip(this, 'redis'));
    const nodes = group.sentinels.map(({ port }) => `127.0.0.1:${port}`);
    stores = await open({ sentinel: { master: 'main', nodes } });
  });
  after(async () => {
    await stores?.close();
    await group.stop();
  });
  storesContract(() => stores as Stores);
});

function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test authority');
  for (const [name, host] of [
    ['redis', 'redis.test'],
    ['us', 'postern.test'],
  ] as const) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${host}`);
    writeFileSync(join(folder, 'extensions'), `subjectAltName=DNS:${host}\n`);
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signing);
  }
}
