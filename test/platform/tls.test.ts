import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import { Registry } from 'prom-client';
import type { ListenerTls } from '../../src/platform/config/tls-schema.ts';
import { ConfigurationError } from '../../src/platform/errors.ts';
import { createHttpServer, drain, listen } from '../../src/platform/http.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createProcessMetrics } from '../../src/platform/metrics.ts';
import { openListenerTls, readTlsFiles, readUpstreamTls } from '../../src/platform/tls.ts';
import { type CertificateFiles, TestAuthority } from '../support/certificates.ts';

describe('a TLS listener', () => {
  let authority: TestAuthority;
  let strangers: TestAuthority;
  let server: CertificateFiles;
  let other: CertificateFiles;
  const ends: Array<() => Promise<void>> = [];
  before(() => {
    authority = new TestAuthority();
    strangers = new TestAuthority();
    server = authority.issue('server', 'DNS:localhost');
    other = authority.issue('other', 'DNS:localhost');
  });
  afterEach(async () => {
    while (ends.length > 0) await ends.pop()?.();
  });
  after(() => {
    authority.remove();
    strangers.remove();
  });

  async function open(given: Partial<ListenerTls> = {}) {
    let written = '';
    const log = createLogger('auth', 'info', {
      write: (line: string) => {
        written += line;
      },
    });
    const config: ListenerTls = { ...server, clientCertificate: 'none', minVersion: '1.2', ...given };
    const registry = new Registry();
    const metrics = createProcessMetrics(registry, 'forward-auth');
    const tls = openListenerTls(config, 'auth.tls', { log, metrics, every: 20 });
    const running = createHttpServer(
      { maxHeaderSize: 16_384, requestTimeout: 5_000, tls },
      (_request, response) => void response.end('hello'),
    );
    await listen(running, { host: '127.0.0.1', port: 0 });
    ends.push(() => drain(running, 0));
    return { port: (running.address() as AddressInfo).port, log: () => written, metrics: () => registry.metrics() };
  }

  /** One request over a connection of its own. @returns the answer and what TLS agreed on; rejects where it failed */
  function get(port: number, options: ConnectionOptions = {}) {
    return new Promise<{ text: string; serial: string; protocol: string | false | null }>((resolve, reject) => {
      const ca = readFileSync(authority.caPath);
      const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ...options }, () => {
        const serial = socket.getPeerX509Certificate()?.serialNumber ?? '';
        let text = '';
        socket.on('data', (chunk) => {
          text += chunk;
        });
        socket.on('end', () =>
          text === '' ? reject(new Error('closed')) : resolve({ text, serial, protocol: socket.alpnProtocol }),
        );
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      });
      socket.on('error', reject);
    });
  }
  const read = ({ certPath, keyPath }: CertificateFiles) => ({
    cert: readFileSync(certPath),
    key: readFileSync(keyPath),
  });

  it('serves HTTP/1.1 and nothing else', async () => {
    const { port } = await open();
    const answer = await get(port, { ALPNProtocols: ['h2', 'http/1.1'] });
    assert.match(answer.text, /^HTTP\/1\.1 200 OK[\s\S]*hello/);
    assert.equal(answer.protocol, 'http/1.1');
    await assert.rejects(get(port, { ALPNProtocols: ['h2'] }));
  });

  it('speaks no version below the configured one, and nothing without TLS', async () => {
    const { port } = await open({ minVersion: '1.3' });
    await get(port);
    await assert.rejects(get(port, { maxVersion: 'TLSv1.2' }));
    const { port: older } = await open();
    await get(older, { maxVersion: 'TLSv1.2' });
    await assert.rejects(fetch(`http://127.0.0.1:${older}/`));
    await get(older);
  });

  it('that requires a client certificate refuses none, and one of another authority', async () => {
    const { port } = await open({ clientCertificate: 'require', clientCaPath: authority.caPath });
    await get(port, read(authority.issue('client', 'DNS:proxy.internal')));
    await assert.rejects(get(port));
    await assert.rejects(get(port, read(strangers.issue('client', 'DNS:proxy.internal'))));
  });

  it('that only asks for one serves everybody', async () => {
    const { port } = await open({ clientCertificate: 'request', clientCaPath: authority.caPath });
    await get(port);
    await get(port, read(strangers.issue('someone')));
  });

  it('says when its certificate ends', async () => {
    const { metrics } = await open();
    const ends = Date.parse(new X509Certificate(readFileSync(server.certPath)).validTo) / 1000;
    assert.match(
      await metrics(),
      new RegExp(`certificate_expiry_timestamp_seconds\\{listener="auth.tls"\\} ${ends}\\n`),
    );
  });

  it('serves a new certificate when the files change, and the last good one when they are broken', async () => {
    const files = { certPath: join(authority.folder, 'live.pem'), keyPath: join(authority.folder, 'live.key') };
    const put = (from: CertificateFiles) => {
      copyFileSync(from.certPath, files.certPath);
      copyFileSync(from.keyPath, files.keyPath);
    };
    put(server);
    const { port, log } = await open(files);
    const until = async (pattern: RegExp, from = 0) => {
      while (!pattern.test(log().slice(from))) await sleep(10);
    };
    const first = (await get(port)).serial;
    put(other);
    await until(/certificate read again/);
    const second = (await get(port)).serial;
    assert.notEqual(second, first);

    const before = log().length;
    writeFileSync(files.keyPath, '-----BEGIN PRIVATE KEY-----\nnonsense-of-a-key\n');
    await until(/the old certificate stays/, before);
    assert.equal((await get(port)).serial, second);
    assert.ok(!log().includes('nonsense-of-a-key'));
  });

  it('does not start with files that cannot be used, and names the key whose file it is', () => {
    const broken = join(authority.folder, 'broken.pem');
    writeFileSync(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const absent = join(authority.folder, 'absent.pem');
    const problem = (config: object, path: string) =>
      assert.throws(
        () => readTlsFiles({ ...server, ...config }, 'relay.tls'),
        (error) => error instanceof ConfigurationError && error.problems[0]?.startsWith(`relay.tls.${path}: `) === true,
        path,
      );
    problem({ certPath: absent }, 'certPath');
    problem({ certPath: broken }, 'certPath');
    problem({ certPath: server.keyPath }, 'certPath');
    problem({ keyPath: absent }, 'keyPath');
    problem({ keyPath: broken }, 'keyPath');
    problem({ keyPath: other.keyPath }, 'keyPath');
    problem({ clientCaPath: broken }, 'clientCaPath');
    assert.throws(() => readUpstreamTls({ caPath: absent }, 'relay.servers.one.tls'), /servers\.one\.tls\.caPath/);
    assert.ok(readTlsFiles(server, 'auth.tls').cert.includes('BEGIN CERTIFICATE'));
  });
});
