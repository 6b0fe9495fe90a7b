import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GenericContainer } from 'testcontainers';
import { type Child, startChild } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { startOpenIdProvider, type TestProvider } from '../support/openid-provider.ts';
import { startPostern } from '../support/postern-process.ts';
import { programOrSkip } from '../support/programs.ts';
import { until } from '../support/until.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const DEPLOYMENT = fileURLToPath(new URL('../../deploy/encrypted/', import.meta.url));
const MCP = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

/** A copy of the folder with other addresses, each of which must be found. */
function copyDeployment(addresses: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-encrypted-'));
  const unused = new Set(Object.keys(addresses));
  const pattern = new RegExp(`(?:${[...unused].join('|').replaceAll('.', '\\.')})(?!\\d)`, 'g');
  cpSync(DEPLOYMENT, folder, { recursive: true });
  rmSync(join(folder, 'certs'), { recursive: true, force: true });
  for (const file of ['traefik.yaml', 'dynamic.yaml', 'postern.yaml']) {
    const text = readFileSync(join(folder, file), 'utf8').replace(pattern, (from) => {
      unused.delete(from);
      return addresses[from] as string;
    });
    writeFileSync(join(folder, file), text);
  }
  assert.deepEqual([...unused], [], 'addresses that the files no longer hold');
  return folder;
}

const NO_CERTIFICATE = 'it showed no client certificate with a name of relay.trust.certificates';

describe('with every hop encrypted, by the files of deploy/encrypted', () => {
  const ends: Array<() => Promise<unknown>> = [];
  let certs: string;
  let provider: TestProvider;
  let edge: number;
  let auth: number;
  let relay: number;
  let relayLog: () => string;
  /** Headers that reached the MCP server. */
  const seen: string[][] = [];

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'traefik');
    provider = await startOpenIdProvider();
    ends.push(() => provider.stop());
    const ports = (await freePorts(6)) as [number, number, number, number, number, number];
    const [, , authInternal, , relayInternal, mcp] = ports;
    [edge, auth, , relay] = ports;
    const folder = copyDeployment({
      '127.0.0.1:8443': `127.0.0.1:${edge}`,
      '127.0.0.1:4180': `127.0.0.1:${auth}`,
      '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
      '127.0.0.1:4444': `127.0.0.1:${relay}`,
      '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
      '127.0.0.1:4192': new URL(provider.issuer).host,
      '127.0.0.1:4191': `127.0.0.1:${mcp}`,
    });
    ends.push(async () => rmSync(folder, { recursive: true, force: true }));
    execFileSync('sh', ['certificates.sh'], { cwd: folder });
    certs = join(folder, 'certs');
    // The test starts `postern` in the project's folder.
    const config = join(folder, 'postern.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replaceAll(' certs/', ` ${certs}/`));

    const server = await mcpServer(mcp);
    ends.push(
      () =>
        new Promise((resolve) => {
          server.close(resolve);
          server.closeAllConnections();
        }),
    );
    const keep = (child: Child) => {
      ends.push(() => child.stop());
      return child;
    };
    keep(await startPostern('auth', config, authInternal));
    if (program.kind === 'image') {
      const container = await new GenericContainer(program.image)
        .withNetworkMode('host')
        .withCopyDirectoriesToContainer([{ source: folder, target: '/config' }])
        .withWorkingDir('/config')
        .withCommand(['--configfile=traefik.yaml'])
        .start();
      ends.push(() => container.stop());
    } else {
      const ready = async () => (await ask(edge, { path: '/_postern/jwks.json', method: 'GET' })).status === 200;
      const args = ['--configfile=traefik.yaml'];
      keep(await startChild('traefik', program.path, args, { cwd: folder, ready }));
    }
    const env = { NODE_EXTRA_CA_CERTS: join(certs, 'ca.pem') };
    const child = keep(await startPostern('relay', config, relayInternal, env));
    relayLog = () => child.output;
  });

  after(async function () {
    this.timeout(60_000);
    while (ends.length > 0) await ends.pop()?.();
  });

  const pair = (name: string) => ({
    cert: readFileSync(join(certs, `${name}.pem`)),
    key: readFileSync(join(certs, `${name}.key`)),
  });

  function mcpServer(port: number): Promise<Server> {
    const ca = readFileSync(join(certs, 'ca.pem'));
    const options = { ...pair('mcp-server'), ca, requestCert: true, rejectUnauthorized: true };
    const server = createServer(options, (message, response) => {
      seen.push(message.rawHeaders);
      message.resume().on('end', () => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 7, result: { content: [] } }));
      });
    });
    return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
  }

  interface Asked {
    readonly path?: string;
    readonly method?: string;
    readonly headers?: Record<string, string>;
    /** Whose certificate is shown. */
    readonly as?: string;
  }
  function ask(port: number, { path = '/servers/example/mcp', method = 'POST', headers = {}, as }: Asked = {}) {
    return new Promise<{ status: number; body: string; challenge: string }>((resolve, reject) => {
      const ca = readFileSync(join(certs, 'ca.pem'));
      const tls = { ca, ...(as === undefined ? {} : pair(as)) };
      const outgoing = request(
        { host: '127.0.0.1', port, path, method, agent: false, headers: { ...MCP, ...headers }, ...tls },
        (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (text: string) => {
            body += text;
          });
          const challenge = String(response.headers['www-authenticate'] ?? '');
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body, challenge }));
        },
      );
      outgoing.on('error', reject);
      outgoing.end(method === 'POST' ? CALL : undefined);
    });
  }
  const tokenOf = (user: string) => provider.token(user, `https://127.0.0.1:${edge}/servers/example/mcp`);

  it('a call reaches the MCP server, and neither token nor identity goes with it', async () => {
    const answer = await ask(edge, { headers: { Authorization: `Bearer ${await tokenOf('alice')}` } });
    assert.equal(answer.status, 200, answer.body + relayLog());
    assert.equal(JSON.parse(answer.body).id, 7);
    assert.ok(!seen.flat().some((text) => /^(authorization|x-authenticated-)/i.test(text)));
  });

  it('who may not is refused as without encryption, and told of an https address', async () => {
    const refused = await ask(edge);
    assert.equal(refused.status, 401);
    assert.match(refused.challenge, /resource_metadata="https:\/\/127\.0\.0\.1:/);
    assert.equal((await ask(edge, { headers: { Authorization: `Bearer ${await tokenOf('carol')}` } })).status, 403);
  });

  it('forward-auth and relay answer nobody without a certificate, and nothing in the clear', async () => {
    const check = { path: '/verify/traefik', method: 'GET' };
    await assert.rejects(ask(auth, check));
    await assert.rejects(ask(relay));
    await assert.rejects(fetch(`http://127.0.0.1:${auth}/verify/traefik`));
    await assert.rejects(fetch(`http://127.0.0.1:${relay}/servers/example/mcp`));
    assert.equal((await ask(auth, { ...check, as: 'traefik' })).status, 400, 'so that the refusals prove something');
  });

  it('forward-auth answers no other program of the same authority', async () => {
    const described = {
      ...{ 'X-Forwarded-Method': 'POST', 'X-Forwarded-Uri': '/servers/example/mcp', 'X-Forwarded-Proto': 'https' },
      ...{ 'X-Forwarded-Host': `127.0.0.1:${edge}`, 'X-Forwarded-For': '127.0.0.1' },
      Authorization: `Bearer ${await tokenOf('alice')}`,
    };
    const check = { path: '/verify/traefik', method: 'GET', headers: described };
    assert.equal((await ask(auth, { ...check, as: 'traefik' })).status, 200);
    for (const as of ['relay', 'forward-auth', 'edge', 'mcp-server']) {
      const answer = await ask(auth, { ...check, as }).catch(() => undefined);
      assert.ok(answer === undefined || answer.status === 403, `${as}: ${answer?.status}`);
    }
    const { status, body } = await ask(auth, { ...check, as: 'relay' });
    assert.deepEqual([status, JSON.parse(body).reason], [403, 'untrusted_proxy']);
  });

  it('the relay believes no other program of the same authority', async () => {
    const forged = { 'X-Authenticated-User': 'alice' };
    const answer = await ask(relay, { headers: forged, as: 'relay' });
    assert.equal(answer.status, 401);
    await until('the relay says why', async () => relayLog().includes(NO_CERTIFICATE));
    assert.equal((await ask(relay, { headers: forged, as: 'traefik' })).status, 401, 'nor Traefik without a signature');
  });
});
