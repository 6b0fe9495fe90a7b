import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { after, afterEach, before, describe, it } from 'mocha';
import { WebSocket } from 'ws';
import { type CertificateFiles, TestAuthority } from '../../../support/certificates.ts';
import { endAll, onEnd, relay } from '../../support/relay.ts';
import { scriptedServer } from '../../support/scripted-server.ts';
import { RawClient } from '../../support/web-socket.ts';

describe('WebSocket where the relay itself speaks TLS', () => {
  let authority: TestAuthority;
  let server: CertificateFiles;
  let proxy: CertificateFiles;
  before(() => {
    authority = new TestAuthority();
    server = authority.issue('relay', 'DNS:localhost');
    proxy = authority.issue('proxy', 'DNS:proxy.internal');
  });
  after(() => authority.remove());
  afterEach(endAll);

  const start = async () => {
    const { url } = await scriptedServer();
    const certificates = { caPath: authority.caPath, names: ['proxy.internal'] };
    return relay({ servers: { one: { url } }, trust: { certificates }, tls: { ...server } });
  };
  const shown = (certificate?: CertificateFiles) => ({
    ca: readFileSync(authority.caPath),
    ...(certificate && { cert: readFileSync(certificate.certPath), key: readFileSync(certificate.keyPath) }),
  });
  const headers = { 'X-Authenticated-User': 'alice' };

  it('believes the identity of a proxy that shows its certificate, and of nobody else', async () => {
    const { port } = await start();
    const url = `wss://localhost:${port}/servers/one/ws`;
    const proven = new WebSocket(url, 'mcp', { ...shown(proxy), headers });
    onEnd(() => proven.terminate());
    const client = new RawClient(proven);
    await once(proven, 'open');
    assert.ok((await client.initialize()).result);
    const unproven = new WebSocket(url, 'mcp', { ...shown(), headers });
    const [error] = (await once(unproven, 'error')) as [Error];
    assert.match(error.message, /401/);
  });

  it('answers a request that offers another protocol', async () => {
    const { port } = await start();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const outgoing = request({
      ...{ host: 'localhost', port, path: '/servers/one/mcp', method: 'POST', agent: false },
      ...shown(proxy),
      headers: { ...headers, 'Content-Type': 'application/json', Connection: 'Upgrade', Upgrade: 'h2c' },
    });
    outgoing.end(body);
    const [response] = await once(outgoing, 'response');
    assert.equal(response.statusCode, 200);
    response.resume();
  });
});
