import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { ASSERTION_TYPE } from '../../src/identity/assertion.ts';
import { loadConfig } from '../../src/platform/config/load.ts';
import { CountedWarning } from '../../src/platform/counted-warning.ts';
import { createLogger } from '../../src/platform/log.ts';
import { startInteractiveProvider } from '../forward-auth/login/support/interactive-provider.ts';
import { Jar } from '../forward-auth/login/support/jar.ts';
import { freePorts } from '../support/free-port.ts';
import { startOpenIdProvider } from '../support/openid-provider.ts';
import { rawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

// Imported as the commands import the processes: mocha itself would load each module a second time.
const load = async () => ({
  ...(await import('../../src/forward-auth/server.ts')),
  ...(await import('../../src/relay/server.ts')),
});

const PAGE = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8');

describe('messages', () => {
  let folder: string;
  const ends: Array<() => unknown> = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-messages-'));
  });
  afterEach(async () => {
    while (ends.length > 0) await ends.pop()?.();
  });
  after(() => rmSync(folder, { recursive: true }));

  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  /** Starts a process as its command does. @returns what it logs, or why it does not start */
  async function start(yaml: string, process: 'forward-auth' | 'relay' = 'forward-auth', env = {}) {
    const { startForwardAuth, startRelay } = await load();
    let log = '';
    const logger = createLogger(process, 'info', {
      write: (line: string) => {
        log += line;
      },
    });
    const listen = '127.0.0.1:0';
    const addresses = {
      ...{ POSTERN_AUTH_INTERNAL_LISTEN: listen, POSTERN_RELAY_INTERNAL_LISTEN: listen, POSTERN_DRAIN: '0s' },
      ...(yaml.includes('listen:') ? {} : { POSTERN_AUTH_LISTEN: listen, POSTERN_RELAY_LISTEN: listen }),
    };
    try {
      const { config } = loadConfig(file('postern.yaml', `${yaml}\n`), { ...addresses, ...env }, undefined, process);
      const run = process === 'relay' ? startRelay : startForwardAuth;
      const running = await run(config, { log: logger, env });
      ends.push(() => running.close());
      return { said: () => log, port: running.port };
    } catch (error) {
      return { said: () => (error as Error).message, port: 0 };
    }
  }

  async function serve(listener: RequestListener): Promise<string> {
    const server: Server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const provider = (issuer: string, more = '') => `auth: { providers: [{ id: corp, issuer: "${issuer}"${more} }] }`;

  /** A mistake, the message, and the words of it that the page quotes. */
  const atStart: Array<[mistake: string, given: () => Parameters<typeof start>, message: RegExp, quoted: string]> = [
    [
      'missing secret file',
      () => ['{}', 'relay', { POSTERN_RELAY_TRUST_SECRET_FILE: join(folder, 'none') }],
      /POSTERN_RELAY_TRUST_SECRET \(relay\.trust\.secret\): POSTERN_RELAY_TRUST_SECRET_FILE: .*none cannot be read \(ENOENT\): there is no such file/,
      'cannot be read (ENOENT)',
    ],
    [
      'empty secret file',
      () => ['{}', 'relay', { POSTERN_RELAY_TRUST_SECRET_FILE: file('empty', '\n') }],
      /relay\.trust\.secret.*empty is empty: write the secret into it/,
      'is empty: write the secret into it',
    ],
    [
      'missing client secret',
      () => [provider('http://127.0.0.1:9', ', clientId: a, clientSecretPath: /no/secret')],
      /auth\.providers\[0\]\.clientSecretPath: \/no\/secret cannot be read \(ENOENT\): there is no such file: make it/,
      'clientSecretPath: /run/secrets/corp cannot be read (ENOENT): there is no such file',
    ],
    [
      'a folder in place of a key',
      () => [`auth: { sessions: { keysPath: "${folder}" } }`],
      /auth\.sessions\.keysPath: .* cannot be read \(EISDIR\): it is a folder: name a file in it/,
      'it is a folder: name a file in it',
    ],
    [
      'missing audit folder',
      () => ['audit: { file: { path: "/no/folder/{process}.log" } }'],
      /audit\.file\.path: \/no\/folder\/forward-auth\.log cannot be opened \(ENOENT\); its folder is missing: make it/,
      'its folder is missing: make it, or name another',
    ],
    [
      'an audit file that is a folder',
      () => {
        mkdirSync(join(folder, 'relay'), { recursive: true });
        return [`audit: { file: { path: "${folder}/{process}" } }`, 'relay'];
      },
      /audit\.file\.path: .*relay cannot be opened \(EISDIR\); it is a folder: name a file in it/,
      'it is a folder: name a file in it',
    ],
    [
      'missing public key',
      () => ['relay: { jwt: { enabled: true, algorithm: RS256, publicKeyPath: /no/key.pem } }', 'relay'],
      /relay\.jwt\.publicKeyPath: \/no\/key\.pem cannot be read \(ENOENT\).*JWT_PUBLIC_KEY_PATH/,
      'cannot be read (ENOENT)',
    ],
    [
      'a key that is none',
      () => [
        `relay: { jwt: { enabled: true, algorithm: RS256, publicKeyPath: "${file('key.pem', 'secret words')}" } }`,
        'relay',
      ],
      /relay\.jwt\.publicKeyPath: .*key\.pem must hold a public key or a certificate in PEM/,
      'must hold a public key or a certificate in PEM',
    ],
    [
      'a number where a duration belongs',
      () => ['auth: { sessions: { idleTimeout: 10 } }'],
      /auth\.sessions\.idleTimeout: must be a duration such as 500ms, 30s, 15m, 8h or 7d/,
      'must be a duration such as 500ms, 30s, 15m, 8h or 7d',
    ],
    [
      'a map where a list belongs',
      () => ['auth: { rules: {} }'],
      /auth\.rules: must be a list, not a map of keys/,
      'must be a list, not a map of keys',
    ],
    [
      'a text where a map belongs',
      () => ['relay: { servers: github }'],
      /relay\.servers: must be a map of keys, not a text/,
      'must be a list, not a map of keys',
    ],
    [
      'a missing key',
      () => ['auth: { providers: [{ id: corp }] }'],
      /auth\.providers\[0\]\.issuer: needed: a text/,
      'needed: a text',
    ],
    [
      'a mistyped key',
      () => ['relay: { serverz: {} }'],
      /relay\.serverz: unknown key; did you mean `servers`\?/,
      'unknown key; did you mean `servers`?',
    ],
    [
      'a missing configuration file',
      () => ['{}', 'relay', { POSTERN_RELAY_ADMIN_FORWARD_AUTH_TOKEN: 'some-token-of-the-operator' }],
      /relay\.admin\.forwardAuth\.url: needed: a text/,
      'needed: a text',
    ],
  ];
  for (const [mistake, given, message, quoted] of atStart)
    it(`name key, cause and fix at the start: ${mistake}`, async () => {
      const { said } = await start(...given());
      assert.match(said(), message);
      assert.doesNotMatch(said(), /secret words|\n {4}at /);
      assert.ok(PAGE.includes(quoted), `docs/troubleshooting.md lacks: ${quoted}`);
    });

  for (const [process, key] of [
    ['forward-auth', 'auth.listen'],
    ['relay', 'relay.listen'],
  ] as const)
    it(`name the key of a port that is taken: ${key}`, async () => {
      const taken = new URL(await serve(() => {})).host;
      const { said } = await start(`${key.split('.')[0]}: { listen: "${taken}" }`, process);
      assert.equal(said(), `${key}: cannot listen on ${taken}: EADDRINUSE`);
    });

  it('say in so many words that a relay has no policy', async () => {
    const { said } = await start('relay: { servers: { a: { url: "http://127.0.0.1:9/mcp" } } }', 'relay');
    assert.match(said(), /relay\.policy: is not set, so every user whom the proxy lets through may use every tool/);
    const stated = await start(
      'relay: { servers: { a: { url: "http://127.0.0.1:9/mcp" } }, policy: { rules: [{ who: anyone-signed-in }] } }',
      'relay',
    );
    assert.doesNotMatch(stated.said(), /relay\.policy: is not set/);
  });

  const discovery: Array<[mistake: string, issuer: () => Promise<string>, message: RegExp]> = [
    [
      'a provider that is away',
      async () => `http://127.0.0.1:${(await freePorts(1))[0]}`,
      /"error":"http:\/\/127\.0\.0\.1:\d+\/\.well-known\/openid-configuration: no server listens there \(ECONNREFUSED\)","count":1/,
    ],
    [
      'a slash at the end of the issuer',
      async () =>
        `${await serve((request, response) => response.end(JSON.stringify({ issuer: `http://${request.headers.host}` })))}/`,
      /openid-configuration is about another issuer than http:\/\/127\.0\.0\.1:\d+\/: it says http:\/\/127\.0\.0\.1:\d+; write `issuer` exactly so/,
    ],
    [
      'no slash at the end of the issuer',
      async () =>
        serve((request, response) => response.end(JSON.stringify({ issuer: `http://${request.headers.host}/` }))),
      /is about another issuer than http:\/\/127\.0\.0\.1:\d+: it says http:\/\/127\.0\.0\.1:\d+\/; write/,
    ],
    [
      'a wrong path of the issuer',
      async () => `${await serve((_request, response) => response.writeHead(404).end('none'))}/realms/nowhere`,
      /realms\/nowhere\/\.well-known\/openid-configuration answered 404/,
    ],
    [
      'a page in place of the document',
      async () => serve((_request, response) => response.end('<html>')),
      /openid-configuration answers no JSON object/,
    ],
  ];
  for (const [mistake, issuer, message] of discovery)
    it(`name the address in one line without a stack: ${mistake}`, async () => {
      const { said } = await start(provider(await issuer()));
      await until('the line', () => said().includes('keys of the identity provider could not be fetched'));
      assert.match(said(), message);
      assert.doesNotMatch(said(), /\\n {4}at |"stack"/);
      assert.match(said(), /"fix":"see issuer, discoveryUrl and jwksUri/);
    });

  it('of sign-in name the address where the provider is away', async () => {
    const issuer = `http://127.0.0.1:${(await freePorts(1))[0]}`;
    const { said, port } = await start(`publicUrl: http://127.0.0.1:8080\n${provider(issuer, ', clientId: postern')}`);
    await rawRequest(port, '/_postern/sign-in', { headers: ['Host', '127.0.0.1:8080'] });
    await until('the line', () => said().includes('could not be discovered'));
    assert.match(said(), /openid-configuration: no server listens there \(ECONNREFUSED\)/);
    assert.doesNotMatch(said(), /\\n {4}at |"stack"/);
  });

  it('of sign-in name a wrong client secret, in two lines without a stack', async () => {
    const [port = 0] = await freePorts(1);
    const origin = `http://127.0.0.1:${port}`;
    const idp = await startInteractiveProvider(origin);
    ends.push(() => idp.stop());
    const { said } = await start(
      `publicUrl: ${origin}\nauth: { listen: "127.0.0.1:${port}", providers: [{ id: corp, issuer: "${idp.issuer}", clientId: postern, clientSecret: "not the secret of this client" }] }`,
    );
    const browser = new Jar();
    const callback = await browser.until(`${origin}/_postern/sign-in?rd=/`, /\/_postern\/callback\?/);
    assert.equal((await browser.hop(callback)).status, 502);
    assert.match(
      said(),
      /"issuer":"http[^"]+","message":"the provider refuses this client: check clientId, clientSecret and clientAuthentication of the provider \\"corp\\" in auth\.providers"/,
    );
    assert.match(
      said(),
      /"error":"the provider's answer was refused: \w+".*"an answer of the identity provider was refused"/,
    );
    assert.doesNotMatch(said(), /\\n {4}at |"stack"|not the secret/);
  });

  const checked = (host: string, path: string, more: readonly string[] = []) => [
    ...['Host', host, 'X-Forwarded-Host', host, 'X-Forwarded-Proto', 'http', 'X-Forwarded-For', '192.0.2.7'],
    ...['X-Forwarded-Uri', path, 'X-Forwarded-Method', 'GET', ...more],
  ];
  const NAVIGATION = ['Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document', 'Accept', 'text/html'];

  for (const alias of ['localhost:8080', '127.0.0.1', '127.0.0.1:8081', 'mcp.example.org'])
    it(`name the right address, and who must send it, for people at another one: ${alias}`, async () => {
      const { said, port } = await start(
        `publicUrl: http://127.0.0.1:8080\n${provider('http://127.0.0.1:9', ', clientId: postern').replace(/ }$/, ', rules: [{ match: {}, allow: { groups: [staff] } }] }')}`,
      );
      const checks = await rawRequest(port, '/verify/traefik', { headers: checked(alias, '/app', NAVIGATION) });
      assert.equal(checks.status, 302);
      const page = await rawRequest(port, '/_postern/sign-in', { headers: checked(alias, '/_postern/sign-in') });
      assert.equal(page.status, 404);
      const lines = said()
        .split('\n')
        .filter((line) => line.includes('"expected":"http://127.0.0.1:8080"'));
      assert.equal(lines.length, 2, said());
      for (const line of lines) {
        assert.ok(line.includes(`"host":"${alias}"`), line);
        assert.match(
          line,
          /"fix":"people open the address in `expected`; .*X-Forwarded-Host; .*publicUrl, auth\.signIn\.origins"/,
        );
      }
    });

  const seconds = (shift: number) => Math.floor(Date.now() / 1_000) + shift;
  const SKEWED: Array<[clock: string, claims: () => object, found: RegExp]> = [
    [
      'of the issuer is behind',
      () => ({ exp: seconds(-95) }),
      /exp was \d+ s ago \([^)]*\), tolerance \d+ s; if [^;]*new[^;]*set the clocks/,
    ],
    [
      'of the issuer is ahead',
      () => ({ nbf: seconds(300), exp: seconds(600) }),
      /nbf is \d+ s ahead \([^)]*\), tolerance \d+ s; set the clocks/,
    ],
  ];
  for (const [clock, claims, found] of SKEWED) {
    it(`name the difference and the clocks, where that ${clock}: to the relay, a token of a client`, async () => {
      const secret = randomBytes(32).toString('base64url');
      const { said, port } = await start(
        `relay: { servers: { a: { url: "http://127.0.0.1:9/mcp" } }, jwt: { enabled: true, algorithm: HS256, secretKey: ${secret}, issuer: gate, audience: mcp } }`,
        'relay',
      );
      const token = await new SignJWT({ iss: 'gate', aud: 'mcp', sub: 'alice', ...claims() })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(createSecretKey(secret, 'utf8'));
      const headers = ['Authorization', `Bearer ${token}`, 'Content-Type', 'application/json'];
      await rawRequest(port, '/servers/a/mcp', {
        method: 'POST',
        headers,
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      });
      assert.match(said(), found);
      assert.match(said(), /by NTP, or raise relay\.jwt\.clockTolerance/);
      assert.doesNotMatch(said(), new RegExp(`alice|${token.split('.')[1]}`));
    });

    it(`name the difference and the clocks, where that ${clock}: to the relay, an assertion`, async () => {
      const { privateKey, publicKey } = await generateKeyPair('ES256');
      const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] });
      const jwks = await serve((_request, response) => response.end(keys));
      const { said, port } = await start(
        `relay: { servers: { a: { url: "http://127.0.0.1:9/mcp" } }, trust: { enabled: true, assertion: { jwksUrl: "${jwks}/", issuer: gate, audience: relay } } }`,
        'relay',
      );
      const assertion = await new SignJWT({
        ...{ iss: 'gate', aud: 'relay', sub: 'alice', amr: 'session', htm: 'POST', hth: 'gate', htp: '/' },
        ...claims(),
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'k', typ: ASSERTION_TYPE })
        .setIssuedAt(seconds(-125))
        .sign(privateKey);
      const headers = [
        'X-Authenticated-User',
        'alice',
        'X-Authenticated-Assertion',
        assertion,
        'Content-Type',
        'application/json',
      ];
      await rawRequest(port, '/servers/a/mcp', {
        method: 'POST',
        headers,
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      });
      assert.match(said(), found);
      assert.match(said(), /by NTP, or raise relay\.trust\.assertion\.clockTolerance/);
    });

    it(`name the difference and the clocks, where that ${clock}: to forward-auth, a token of a provider`, async () => {
      const idp = await startOpenIdProvider();
      ends.push(() => idp.stop());
      const { said, port } = await start(
        `publicUrl: http://127.0.0.1:8080\n${provider(idp.issuer, ', audiences: [mcp]').replace(/ }$/, ', rules: [{ match: {}, allow: { groups: [staff] } }] }')}`,
      );
      await until('the keys', async () => {
        const more = ['Authorization', `Bearer ${await idp.mint({ sub: 'alice', aud: 'mcp', ...claims() })}`];
        const { status } = await rawRequest(port, '/verify/traefik', {
          headers: checked('127.0.0.1:8080', '/app', more),
        });
        return status !== 503;
      });
      assert.match(said(), /"reason":"token_(?:expired|not_yet_valid)"[^\n]*"fix":"the token /);
      assert.match(
        said(),
        /s (?:ago|ahead) \([^)]*\), tolerance 30 s: [^"]*set the clocks of the provider and of this machine by NTP, or raise clockTolerance/,
      );
    });
  }

  it('name a wrong jwksUrl with its key, once for many requests', async () => {
    const url = `${await serve((_request, response) => response.writeHead(404).end())}/jwks`;
    const { said, port } = await start(
      `relay: { servers: { a: { url: "http://127.0.0.1:9/mcp" } }, trust: { enabled: true, assertion: { jwksUrl: "${url}", issuer: "http://127.0.0.1:1", audience: a } } }`,
      'relay',
    );
    const header = JSON.stringify({ alg: 'ES256', kid: 'a', typ: ASSERTION_TYPE });
    const assertion = `${Buffer.from(header).toString('base64url')}.e30.AAAA`;
    for (let at = 0; at < 5; at++)
      await rawRequest(port, '/servers/a/mcp', {
        method: 'POST',
        headers: [
          'X-Authenticated-User',
          'alice',
          'X-Authenticated-Assertion',
          assertion,
          'Content-Type',
          'application/json',
        ],
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      });
    assert.match(said(), /"error":"relay\.trust\.assertion\.jwksUrl: http:\/\/127\.0\.0\.1:\d+\/jwks answered 404"/);
    assert.equal(said().match(/a dependency failed/g)?.length, 1);
    assert.doesNotMatch(said(), /"stack"/);
  });

  it('count what fails the same way', () => {
    const lines: object[] = [];
    let now = 0;
    const warning = new CountedWarning({ warn: (line: object) => void lines.push(line) } as never, 'away', () => now);
    for (let at = 0; at < 100; at++) warning.warn({ at });
    now = 20_000;
    warning.warn({ at: 100 });
    assert.deepEqual(lines, [
      { at: 0, count: 1 },
      { at: 100, count: 100 },
    ]);
  });
});
