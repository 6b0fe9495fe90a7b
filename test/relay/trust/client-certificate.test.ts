import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { alternativeNames } from '../../../src/platform/peer-certificate.ts';
import { type CertificateFiles, TestAuthority } from '../../support/certificates.ts';
import { ask, CALL, ECHO, endAll, onEnd, relay, upstream } from '../support/relay.ts';

const PROXY = 'spiffe://example.com/proxy';

describe('a proxy proves itself by a client certificate', () => {
  let authority: TestAuthority;
  let strangers: TestAuthority;
  let server: CertificateFiles;
  before(() => {
    authority = new TestAuthority();
    strangers = new TestAuthority();
    server = authority.issue('relay', 'DNS:localhost');
  });
  afterEach(endAll);
  after(() => {
    authority.remove();
    strangers.remove();
  });

  /** Sends a call with a user's header. @returns its status */
  function status(port: number, client?: CertificateFiles): Promise<number> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...{
            host: '127.0.0.1',
            port,
            method: 'POST',
            path: '/servers/one/mcp',
            agent: false,
            servername: 'localhost',
          },
          ca: readFileSync(authority.caPath),
          ...(client === undefined ? {} : { cert: readFileSync(client.certPath), key: readFileSync(client.keyPath) }),
          headers: { Host: 'mcp.example.com', 'Content-Type': 'application/json', 'X-Authenticated-User': 'alice' },
        },
        (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        },
      );
      outgoing.on('error', reject);
      outgoing.end(CALL);
    });
  }
  const start = async (trust: object, tls: object = {}) =>
    relay({ servers: { one: { url: await upstream(ECHO) } }, trust, tls: { ...server, ...tls } });

  it('with one of the names; another name, another authority and none are counted as spoofing', async () => {
    const certificates = { caPath: authority.caPath, names: ['proxy.internal', PROXY] };
    const { port, metrics, logs } = await start({ certificates });
    assert.equal(await status(port, authority.issue('dns', 'DNS:other.internal', 'DNS:Proxy.internal')), 200);
    assert.equal(await status(port, authority.issue('uri', `URI:${PROXY}`)), 200);
    assert.equal(await status(port, authority.issue('elsewhere', 'DNS:backup.internal')), 401);
    assert.equal(await status(port, authority.issue('wild', 'DNS:*.internal')), 401);
    assert.equal(await status(port, authority.issue('longer', `URI:${PROXY}/x`)), 401);
    assert.equal(await status(port, authority.issue('proxy.internal')), 401);
    assert.equal(await status(port, strangers.issue('dns', 'DNS:proxy.internal')), 401);
    assert.equal(await status(port), 401);
    assert.match(await metrics(), /rejected_total\{reason="spoof_attempt"\} 6/);
    assert.ok(logs.some((line) => line.includes('client certificate of proxy.internal')));
  });

  it('beside the address, which must hold as well', async () => {
    const certificates = { names: ['proxy.internal'] };
    const tls = { clientCaPath: authority.caPath, clientCertificate: 'require' };
    const { port } = await start({ certificates, proxies: ['192.0.2.1'] }, tls);
    assert.equal(await status(port, authority.issue('dns', 'DNS:proxy.internal')), 401);
    await assert.rejects(status(port));
  });

  it('reads alternative names as they were written, and none where a name pretends to be several', () => {
    assert.deepEqual(alternativeNames('DNS:A.example, URI:spiffe://x/y, IP Address:127.0.0.1'), [
      'DNS:a.example',
      'URI:spiffe://x/y',
    ]);
    assert.deepEqual(alternativeNames('URI:"http://evil/, DNS:proxy.internal"'), [
      'URI:http://evil/, DNS:proxy.internal',
    ]);
    assert.deepEqual(alternativeNames('DNS:"a'), []);
    assert.deepEqual(alternativeNames(''), []);
  });

  it('is a proof for the configuration, and a range that holds everybody is none', () => {
    const check = (trust: object, more: object = {}) =>
      parseConfig({ relay: { listen: '0.0.0.0:4444', trust, ...more } });
    const tls = { certPath: 'a', keyPath: 'b', clientCaPath: 'c' };
    check({ certificates: { names: ['proxy.internal'] } }, { tls });
    check({ proxies: ['0.0.0.0/0'], secret: 's' });
    assert.throws(() => check({ proxies: ['0.0.0.0/0'] }), /range \/0 is not proof/);
    assert.throws(() => check({ proxies: ['10.0.0.0/8', '::/0'] }), /range \/0 is not proof/);
    assert.throws(() => check({ certificates: { names: ['a'] } }), /needs relay\.tls/);
    assert.throws(() => check({ certificates: { names: ['a'] } }, { tls: { certPath: 'a', keyPath: 'b' } }), /caPath/);
    assert.throws(
      () => check({}, { tls: { certPath: 'a', keyPath: 'b', clientCertificate: 'request' } }),
      /clientCaPath/,
    );
  });
});

describe('a server with TLS', () => {
  let authority: TestAuthority;
  before(() => {
    authority = new TestAuthority();
  });
  afterEach(endAll);
  after(() => authority.remove());

  const serve = async (required: boolean) => {
    const files = authority.issue('mcp', 'DNS:mcp.internal');
    const secure = createServer(
      {
        cert: readFileSync(files.certPath),
        key: readFileSync(files.keyPath),
        ca: readFileSync(authority.caPath),
        requestCert: required,
        rejectUnauthorized: required,
      },
      ECHO,
    );
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    onEnd(() => {
      secure.closeAllConnections();
      return new Promise((resolve) => secure.close(resolve));
    });
    return `https://127.0.0.1:${(secure.address() as AddressInfo).port}/mcp`;
  };
  const called = async (server: object) => {
    const { port } = await relay({ servers: { one: server as never } });
    return (await ask(port, { headers: ['X-Authenticated-User', 'alice'] })).status;
  };

  it('of a private authority is reached with its certificate, and answered for by 502 otherwise', async () => {
    const url = await serve(false);
    assert.equal(await called({ url, tls: { caPath: authority.caPath, serverName: 'mcp.internal' } }), 200);
    assert.equal(await called({ url, tls: { serverName: 'mcp.internal' } }), 502);
    assert.equal(await called({ url, tls: { caPath: authority.caPath, serverName: 'other.internal' } }), 502);
    assert.equal(await called({ url }), 502);
  });

  it('that asks for a certificate is shown ours', async () => {
    const url = await serve(true);
    const tls = { caPath: authority.caPath, serverName: 'mcp.internal' };
    assert.equal(await called({ url, tls: { ...tls, ...authority.issue('relay') } }), 200);
    assert.equal(await called({ url, tls }), 502);
  });

  it('cannot be configured for an address without https', () => {
    const servers = { one: { url: 'http://127.0.0.1/mcp', tls: { caPath: 'a' } } };
    assert.throws(() => parseConfig({ relay: { servers } }), /relay\.servers\.one\.tls: needs an https or wss address/);
  });
});
