import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createLocalJWKSet } from 'jose';
import { startChild } from '../../support/child.ts';
import { copyFolder } from '../../support/copied-folder.ts';
import { startEchoUpstream } from '../../support/echo-upstream.ts';
import { freePorts } from '../../support/free-port.ts';
import { startOpenIdProvider } from '../../support/openid-provider.ts';
import { startPostern } from '../../support/postern-process.ts';
import type { TapTls } from './byte-tap.ts';
import { startCheckTap } from './check-tap.ts';
import { ATTACKED_ENV, ECHO, type OpenFront, type Stage, serves } from './gauntlet.ts';
import { startUpstreamTap } from './upstream-tap.ts';
import { exchange, type Front, written } from './wire.ts';
import { startWitness } from './witness.ts';

const PUBLIC_URL = 'https://127.0.0.1';

/**
 * The chain of `deploy/encrypted`, with certificates on every hop. The taps show those of the programs between which they stand.
 *
 * @param traefik where the program is
 */
export async function startEncryptedStage(traefik: string) {
  const ends: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    while (ends.length > 0) await ends.pop()?.();
  };
  const ending = <T extends { stop(): Promise<unknown> }>(one: T): T => {
    ends.push(() => one.stop());
    return one;
  };
  try {
    const provider = ending(await startOpenIdProvider());
    const echo = ending(await startEchoUpstream());
    const keys = ending(await startKeys());
    const ports = (await freePorts(5)) as [number, number, number, number, number];
    const [auth, authInternal, relay, relayInternal, edgePort] = ports;
    const copy = await copyFolder('encrypted', {
      'postern.yaml': [
        // Forward-auth answers at its public address only, where nothing listens here.
        ['https://127.0.0.1:8443/_postern/jwks.json', keys.url],
        ['127.0.0.1:4180', `127.0.0.1:${auth}`],
        ['127.0.0.1:9464', `127.0.0.1:${authInternal}`],
        ['127.0.0.1:4444', `127.0.0.1:${relay}`],
        ['127.0.0.1:9465', `127.0.0.1:${relayInternal}`],
        ['127.0.0.1:4192', new URL(provider.issuer).host],
      ],
    });
    ends.push(copy.remove);
    execFileSync('sh', ['certificates.sh'], { cwd: copy.folder });
    const certs = join(copy.folder, 'certs');
    const config = join(copy.folder, 'postern.yaml');
    await writeFile(config, (await readFile(config, 'utf8')).replaceAll(' certs/', ` ${certs}/`));

    const pair = async (name: string) => ({
      cert: await readFile(join(certs, `${name}.pem`)),
      key: await readFile(join(certs, `${name}.key`)),
    });
    const ca = await readFile(join(certs, 'ca.pem'));
    const client = await pair('traefik');
    const hop = async (name: string): Promise<TapTls> => ({ ca, client, server: await pair(name) });
    const checkTap = ending(await startCheckTap(auth, await hop('forward-auth')));
    const relayTap = ending(await startUpstreamTap(relay, await hop('relay')));
    const witness = ending(await startWitness(await pair('relay')));

    /** Traefik by the files, which asks through the tap. */
    async function open(port: number, upstream: number): Promise<OpenFront> {
      const own = await copyFolder('encrypted', {
        'traefik.yaml': [['127.0.0.1:8443', `127.0.0.1:${port}`]],
        'dynamic.yaml': [
          ['127.0.0.1:4180', `127.0.0.1:${checkTap.port}`],
          ['127.0.0.1:4444', `127.0.0.1:${upstream}`],
        ],
      });
      ends.push(own.remove);
      await cp(certs, join(own.folder, 'certs'), { recursive: true });
      const front: Front = { port, ca };
      const ready = () => serves(front);
      const options = { cwd: own.folder, ready };
      const child = ending(await startChild('traefik', traefik, ['--configfile=traefik.yaml'], options));
      return { ...front, stop: async () => void (await child.stop()) };
    }
    const env = {
      ...ATTACKED_ENV,
      POSTERN_PUBLIC_URL: PUBLIC_URL,
      POSTERN_RELAY_SERVERS: JSON.stringify({ echo: { url: `http://127.0.0.1:${echo.port}/mcp` } }),
      NODE_EXTRA_CA_CERTS: join(certs, 'ca.pem'),
    };
    const authChild = ending(await startPostern('auth', config, authInternal, env));
    const edge = await open(edgePort, relayTap.port);
    const { text } = await exchange(edge, { bytes: written({ target: '/_postern/jwks.json' }), patience: 10_000 });
    keys.body = text.slice(text.indexOf('\r\n\r\n') + 4);
    const relayChild = ending(await startPostern('relay', config, relayInternal, env));
    const [frontPort] = (await freePorts(1)) as [number];
    const front = await open(frontPort, witness.port);
    const token = await provider.token('alice', PUBLIC_URL);
    const echoToken = await provider.token('alice', `${PUBLIC_URL}${ECHO}`);
    const stage: Stage = {
      ...{ echo, witness, relayTap, token, echoToken },
      asked: [checkTap.asked],
      running: { auth: authChild, relay: relayChild },
      // Its certificate is what proves the proxy to the relay.
      expected: {
        keys: createLocalJWKSet(JSON.parse(keys.body)),
        issuer: PUBLIC_URL,
        secret: undefined,
        tokens: new Set([token, echoToken]),
      },
    };
    return { ...stage, front, edge, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What forward-auth publishes, for the relay. */
async function startKeys() {
  const keys = { url: '', body: '', stop: () => new Promise<void>((resolve) => server.close(() => resolve())) };
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json').setHeader('Connection', 'close').end(keys.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  keys.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  return keys;
}
