import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { UNTRUSTED } from '../../../../src/forward-auth/decision/decision.ts';
import { type RunningExtAuthz, startExtAuthz } from '../../../../src/forward-auth/proxies/ext-authz/server.ts';
import { createLogger } from '../../../../src/platform/log.ts';
import { openListenerTls } from '../../../../src/platform/tls.ts';
import { trustedPeers } from '../../../../src/platform/trusted-peers.ts';
import { type CertificateFiles, TestAuthority } from '../../../support/certificates.ts';
import { AUTHORIZATION } from '../../../support/ext-authz-service.ts';

const log = createLogger('auth', 'silent');

const CHECK = AUTHORIZATION.Check as MethodDefinition<object, object>;

/** @returns whether a method (absent: of the health service) answered over this connection */
function asks(
  port: number,
  caPath: string,
  own?: CertificateFiles,
  method = healthService.Check as MethodDefinition<object, object>,
): Promise<boolean> {
  const pair = own === undefined ? [null, null] : [readFileSync(own.keyPath), readFileSync(own.certPath)];
  const secure = credentials.createSsl(readFileSync(caPath), pair[0], pair[1]);
  const client = new Client(`localhost:${port}`, secure);
  return new Promise<boolean>((resolve) => {
    const deadline = Date.now() + 3_000;
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      {},
      { deadline },
      (error) => resolve(error === null),
    );
  }).finally(() => client.close());
}

function servedSerial(port: number, own: CertificateFiles): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        host: 'localhost',
        port,
        cert: readFileSync(own.certPath),
        key: readFileSync(own.keyPath),
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
      },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.once('error', reject);
  });
}

describe('TLS of ext_authz over gRPC', () => {
  let authority: TestAuthority;
  let stranger: TestAuthority;
  let server: CertificateFiles;
  let proxy: CertificateFiles;
  let running: RunningExtAuthz;
  const refused: boolean[] = [];
  let tls: ReturnType<typeof openListenerTls>;

  before(async () => {
    authority = new TestAuthority();
    stranger = new TestAuthority();
    server = authority.issue('server', 'DNS:localhost');
    proxy = authority.issue('proxy', 'DNS:proxy');
    const config = {
      ...server,
      clientCaPath: authority.caPath,
      clientCertificate: 'require',
      minVersion: '1.2',
    } as const;
    tls = openListenerTls(config, 'auth.tls', { log, every: 20 });
    running = await startExtAuthz({
      listen: { host: '127.0.0.1', port: 0 },
      current: () => ({
        trusted: trustedPeers({ trustedProxies: ['127.0.0.1'], trustedCertificates: ['proxy'] }),
        runCheck: (check) => {
          refused.push(check.read() === UNTRUSTED);
          throw new Error('only who asks is looked at');
        },
      }),
      log,
      maxMessage: 65_536,
      tls,
    });
  });

  after(async () => {
    await running.close(0);
    tls.close();
    authority.remove();
    stranger.remove();
  });

  it('answers a proxy with a certificate of the configured authority, and nobody else', async () => {
    assert.equal(await asks(running.port, authority.caPath, proxy), true);
    assert.equal(await asks(running.port, authority.caPath), false, 'without a certificate');
    assert.equal(await asks(running.port, authority.caPath, stranger.issue('proxy', 'DNS:proxy')), false);
  });

  it('checks for the names of trustedCertificates only', async () => {
    const others = ['DNS:relay', 'DNS:proxy.example.com', 'DNS:*', 'URI:proxy'].map((name, at) =>
      authority.issue(`other-${at}`, name),
    );
    for (const own of [proxy, ...others]) await asks(running.port, authority.caPath, own, CHECK);
    assert.deepEqual(refused, [false, true, true, true, true]);
  });

  it('serves a changed certificate without a restart', async () => {
    const before = await servedSerial(running.port, proxy);
    const next = authority.issue('next', 'DNS:localhost');
    copyFileSync(next.keyPath, server.keyPath);
    copyFileSync(next.certPath, server.certPath);
    let now = before;
    for (let turn = 0; turn < 200 && now === before; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      now = await servedSerial(running.port, proxy);
    }
    assert.notEqual(now, before);
    assert.equal(await asks(running.port, authority.caPath, proxy), true);
  });
});
