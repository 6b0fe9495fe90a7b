import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import type { Terminal } from '../../src/cli/command.ts';
import { PROVIDERS, PROXIES } from '../../src/cli/init/choices.ts';
import { main } from '../../src/cli/main.ts';
import { takeFreePorts } from '../support/compose/copied-deploy.ts';
import { POSTERN } from '../support/compose/local-programs.ts';
import { composeLoaderOrSkip } from '../support/compose/project.ts';
import { startProject } from '../support/compose/start.ts';
import { startEverythingServer } from '../support/everything-server.ts';
import { freePorts } from '../support/free-port.ts';
import { CLIENT, startSignInProvider } from '../support/sign-in-provider.ts';

const runFile = promisify(execFile);
const CHECK = fileURLToPath(new URL('../../deploy/check/check.mjs', import.meta.url));
const OWNER_ONLY = 0o600;

/** Entra names groups by object ids alone. */
function membersAt(provider: string): string[] {
  return provider === 'entra'
    ? ['22222222-2222-2222-2222-222222222222', '33333333-3333-4333-8333-333333333333']
    : ['engineering', 'ops'];
}

/** Options by which nothing is left to ask. */
function optionsFor(proxy: string, provider: string): string[] {
  return [
    ...[
      '--proxy',
      proxy,
      '--provider',
      provider,
      '--client-id',
      'postern',
      '--server',
      'github=https://github-mcp.example.com/mcp',
    ],
    ...(provider === 'google' ? ['--domains', 'example.com'] : ['--groups', membersAt(provider).join(',')]),
    ...(provider === 'google'
      ? []
      : ['--issuer', provider === 'entra' ? '5ad9c1f2-0000-4000-8000-000000000000' : 'https://idp.example.com']),
    ...(proxy === 'istio' ? ['--public-url', 'https://gate.corp.example'] : []),
  ];
}

describe('postern init', () => {
  const home = process.cwd();
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-init-'));
    writeFileSync(join(folder, 'secret'), `${CLIENT.secret}\n`);
  });
  afterEach(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(args: readonly string[], ask?: Terminal['ask']) {
    const out: string[] = [];
    const err: string[] = [];
    const code = await main([...args], {
      env: { PATH: process.env.PATH },
      print: (text) => void out.push(text),
      printError: (text) => void err.push(text),
      ...(ask === undefined ? {} : { ask }),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
  const init = (args: readonly string[], ask?: Terminal['ask']) =>
    run(['init', '--dir', join(folder, 'made'), ...args], ask);
  const made = (name: string) => readFileSync(join(folder, 'made', name), 'utf8');
  const withSecret = () => ['--client-secret-file', join(folder, 'secret')];

  /** What a person types, one answer after the other; then they leave. */
  function typing(answers: readonly (string | undefined)[]) {
    const left = [...answers];
    const asked: string[] = [];
    const ask = async (question: string) => {
      asked.push(question);
      return left.shift();
    };
    return { ask, asked, left };
  }

  async function assertLiked(proxy: string, provider: string) {
    const { code, out, err } = await init([...optionsFor(proxy, provider), ...withSecret()]);
    assert.equal(code, 0, err);
    assert.match(out, /^written to .*postern\.yaml/m);
    assert.doesNotMatch(out + err, new RegExp(CLIENT.secret));
    process.chdir(join(folder, 'made'));
    const checked = await run(['check']);
    assert.equal(checked.code, 0, checked.out + checked.err);
    // Within the mesh forward-auth is asked for its keys in the clear, and the mesh encrypts that.
    const expected = proxy === 'istio' ? /^warning: relay\.trust\.assertion\.jwksUrl.*$/ : /^$/;
    assert.match(checked.err, expected);
    const config = parse(made('postern.yaml'));
    const who = provider === 'google' ? 'anyone-signed-in' : { groups: membersAt(provider) };
    assert.deepEqual(config.relay.policy, { rules: [{ who }] });
    return config;
  }

  for (const [index, proxy] of Object.keys(PROXIES).entries()) {
    const names = Object.keys(PROVIDERS);
    const provider = names[index % names.length] as string;
    it(`writes a folder for ${proxy} with ${provider} that check likes`, async () => {
      const config = await assertLiked(proxy, provider);
      assert.deepEqual(Object.keys(config.relay.servers), ['github']);
      if (proxy !== 'istio') {
        const files = readdirSync(join(folder, 'made', 'proxy'));
        assert.ok(files.includes(PROXIES[proxy]?.listens as string), String(files));
        const { services } = parse(made('compose.yaml'));
        assert.deepEqual(Object.keys(services), ['forward-auth', 'relay', proxy.split('-')[0]]);
        assert.doesNotMatch(made('compose.yaml'), /\bbuild:|\binclude:|extends|everything|identity-provider/);
      }
    });
  }
  for (const [index, provider] of Object.keys(PROVIDERS).entries()) {
    const names = Object.keys(PROXIES);
    const proxy = names[(index + 3) % names.length] as string;
    it(`writes what ${provider} needs, behind ${proxy}`, async () => {
      const { auth } = await assertLiked(proxy, provider);
      const [entry] = auth.providers;
      assert.equal(auth.providers.length, 1);
      assert.equal(entry.clientSecretPath, 'client-secret');
      assert.ok(entry.scopes.includes('openid'));
      const { folder: example } = PROVIDERS[provider] ?? {};
      if (example !== undefined) {
        const { auth: known } = parse(
          readFileSync(new URL(`../../deploy/${example}/postern.yaml`, import.meta.url), 'utf8'),
        );
        const own = ['issuer', 'clientId', 'clientSecretPath'];
        const rest = (all: object) => Object.entries(all).filter(([key]) => !own.includes(key));
        assert.deepEqual(rest(entry), rest(known.providers[0]));
        assert.deepEqual(auth.broker, known.broker);
      }
      const expected = provider === 'google' ? { providers: ['google'] } : { groups: membersAt(provider) };
      assert.deepEqual(
        auth.rules.map(({ allow }: { allow: unknown }) => allow),
        [expected],
      );
    });
  }

  it('makes the issuer of Entra of the id of the directory, and keeps what is given whole', async () => {
    assert.equal((await init(optionsFor('caddy', 'entra'))).code, 0);
    assert.match(
      made('postern.yaml'),
      /issuer: https:\/\/login\.microsoftonline\.com\/5ad9c1f2-0000-4000-8000-000000000000\/v2\.0/,
    );
  });

  it('keeps secrets to their owner, in no file that is shared', async () => {
    const mask = process.umask(0o000);
    try {
      assert.equal((await init([...optionsFor('envoy', 'okta'), ...withSecret()])).code, 0);
    } finally {
      process.umask(mask);
    }
    for (const name of ['.env', 'client-secret'])
      assert.equal(statSync(join(folder, 'made', name)).mode & 0o777, OWNER_ONLY, name);
    assert.equal(made('client-secret'), CLIENT.secret);
    const secrets = [...made('.env').matchAll(/^POSTERN_\w+=(\S+)$/gm)].map(([, value]) => value as string);
    assert.equal(secrets.length, 7);
    for (const name of ['postern.yaml', 'compose.yaml', 'README.md', 'proxy/envoy.yaml'])
      for (const secret of [...secrets, CLIENT.secret]) assert.ok(!made(name).includes(secret), name);
    assert.deepEqual(made('.gitignore').split('\n').slice(0, 2), ['.env', 'client-secret']);
    const { services } = parse(made('compose.yaml'));
    const names = (service: string) => Object.keys(services[service].environment);
    assert.ok(!names('relay').some((name) => name.startsWith('POSTERN_AUTH_')), String(names('relay')));
    assert.ok(!names('forward-auth').some((name) => name.startsWith('POSTERN_RELAY_')));
    assert.deepEqual(names('envoy'), ['POSTERN_RELAY_TRUST_SECRET']);
  });

  it('writes programs, several servers, and anyone-signed-in', async () => {
    const { code, err } = await init([
      ...['--proxy', 'nginx', '--provider', 'oidc', '--issuer', 'https://idp.example.com/', '--client-id', 'x'],
      ...['--server', 'wiki=https://wiki.example.com/mcp', '--server', `node=${process.execPath} --version  -x`],
      ...[
        '--server',
        'live=wss://a.example.com/ws',
        '--groups',
        'anyone-signed-in',
        '--public-url',
        'https://mcp.corp.example/',
      ],
    ]);
    assert.equal(code, 0, err);
    const { publicUrl, auth, relay } = parse(made('postern.yaml'));
    assert.equal(publicUrl, 'https://mcp.corp.example');
    assert.deepEqual(relay.servers.node, { command: process.execPath, args: ['--version', '-x'] });
    assert.deepEqual(
      auth.rules.map(({ match }: { match: { path: string } }) => match.path),
      ['/servers/wiki/**', '/servers/node/**', '/servers/live/**'],
    );
    assert.equal(auth.rules[2].allow, 'anyone-signed-in');
    assert.equal(auth.providers[0].clientSecretPath, undefined);
    assert.match(made('postern.yaml'), /^# yaml-language-server: \$schema=https:\S+configuration\.schema\.json\n/);
    assert.match(made('README.md'), /mcp\.corp\.example\/_postern\/callback/);
  });

  const program = ['--server', `files=${process.execPath} --version`];

  for (const proxy of ['traefik', 'envoy-grpc', 'haproxy'])
    it(`gives programs a home behind ${proxy} that they may be put into and run from`, async () => {
      assert.equal((await init([...optionsFor(proxy, 'okta'), ...program])).code, 0);
      const { services } = parse(made('compose.yaml'));
      assert.deepEqual(services.relay.tmpfs, ['/tmp:exec,mode=1777']);
      assert.equal(services.relay.environment.HOME, '/tmp');
      assert.equal(services.relay.read_only, true);
      assert.equal(services.relay.init, true);
      assert.ok(services.relay.environment.POSTERN_RELAY_TRUST_SECRET);
      assert.equal(services['forward-auth'].tmpfs, undefined);
    });

  it('gives programs one in Istio’s relay as well, and none where every server has an address', async () => {
    assert.equal((await init([...optionsFor('istio', 'dex'), ...withSecret(), ...program])).code, 0);
    const deployment = (name: string) =>
      parseAllDocuments(made('workloads.yaml'))
        .map((document) => document.toJS())
        .find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name).spec.template.spec;
    const { containers, volumes, shareProcessNamespace } = deployment('relay');
    assert.deepEqual(containers[0].env, [{ name: 'HOME', value: '/tmp' }]);
    assert.ok(containers[0].volumeMounts.some(({ mountPath }: { mountPath: string }) => mountPath === '/tmp'));
    assert.deepEqual(volumes.at(-1), { name: 'programs', emptyDir: { sizeLimit: '1Gi' } });
    assert.equal(shareProcessNamespace, true);
    assert.equal(deployment('forward-auth').containers[0].env, undefined);
    assert.equal((await init([...optionsFor('caddy', 'dex'), '--force'])).code, 0);
    const { relay } = parse(made('compose.yaml')).services;
    assert.deepEqual([relay.tmpfs, relay.environment.HOME], [undefined, undefined]);
  });

  it('keeps what Entra’s folder says of groups, and reads app roles where those are given', async () => {
    assert.equal((await init(optionsFor('traefik', 'entra'))).code, 0);
    assert.match(made('postern.yaml'), /# Groups come as object ids\. SECURITY: .*\n +allow: \{ groups: \[ 22222222-/);
    const options = optionsFor('traefik', 'entra').with(-1, '5ad9c1f2-0000-4000-8000-000000000000');
    const args = options.map((value) => (value.startsWith('22222222') ? 'roles:mcp-user,mcp-admin' : value));
    assert.equal((await init([...args, '--force'])).code, 0);
    const { auth, relay } = parse(made('postern.yaml'));
    assert.deepEqual(auth.providers[0].claims, { subject: 'oid', email: 'preferred_username', groups: 'roles' });
    assert.deepEqual(auth.rules[0].allow, { groups: ['mcp-user', 'mcp-admin'] });
    assert.deepEqual(relay.policy.rules[0].who, { groups: ['mcp-user', 'mcp-admin'] });
    assert.match(made('postern.yaml'), /# App roles of the application.*\n +allow:/);
    assert.doesNotMatch(made('postern.yaml'), /object ids/);
    assert.equal((await init([...optionsFor('traefik', 'google'), '--force'])).code, 0);
    assert.match(made('postern.yaml'), /# Google's ID token has no groups.*\n +allow: \{ providers: \[ google \] \}/);
  });

  for (const [value, message] of [
    ['engineering,ops', /"engineering" is not an object id.*roles:engineering,ops/],
    ['22222222-2222-2222-2222-222222222222,ops', /"ops" is not an object id/],
    ['22222222-2222-2222-2222-22222222222', /is not an object id/],
    ['roles:', /must be object ids of groups, roles: and/],
    ['roles:a,,b', /must be object ids/],
    ['roles:MCP User', /must be object ids.*without spaces/],
  ] as const)
    it(`refuses ${value} as groups of Entra`, async () => {
      const options = optionsFor('haproxy', 'entra');
      const { code, err } = await init(options.with(options.indexOf('--groups') + 1, value));
      assert.equal(code, 64, err);
      assert.match(err, message);
    });

  for (const [proxy, listen, text, asked] of [
    ['traefik', '0.0.0.0:9090', /address: "0\.0\.0\.0:9090"/, 'nc -z 127.0.0.1 9090'],
    ['caddy', '10.0.0.5:8081', /http:\/\/:8081 \{\n\tbind 10\.0\.0\.5\n/, 'nc -z 10.0.0.5 8081'],
    ['nginx', '[::]:9443', /listen \[::\]:9443;/, '/dev/tcp/::1/9443'],
    ['envoy', '[::1]:9090', /socket_address: \{ address: "::1", port_value: 9090 \}/, '/dev/tcp/::1/9090'],
    ['envoy-grpc', '0.0.0.0:9090', /socket_address: \{ address: 0\.0\.0\.0, port_value: 9090 \}/, '127.0.0.1/9090'],
    ['haproxy', '0.0.0.0:8443', /bind 0\.0\.0\.0:8443/, '/dev/tcp/127.0.0.1/8443'],
  ] as const)
    it(`has ${proxy} listen on ${listen}`, async () => {
      assert.equal((await init([...optionsFor(proxy, 'okta'), '--listen', listen])).code, 0);
      const config = made(`proxy/${PROXIES[proxy]?.listens}`);
      assert.match(config, text);
      assert.doesNotMatch(config, /127\.0\.0\.1:8080|\b8080\b/);
      const { healthcheck } = parse(made('compose.yaml')).services[proxy.split('-')[0] as string];
      assert.ok(healthcheck.test.join(' ').includes(asked), healthcheck.test.join(' '));
      assert.equal(parse(made('postern.yaml')).publicUrl, 'http://127.0.0.1:8080');
    });

  for (const [value, message] of [
    ['8080', /must be HOST:PORT/],
    ['0.0.0.0:443', /needs a port of 1024 or more/],
    ['127.0.0.1:4444', /port 4444 is that of the relay/],
    ['http://0.0.0.0:8080', /must be HOST:PORT/],
  ] as const)
    it(`refuses ${value} as the proxy's own address`, async () => {
      const { code, err } = await init([...optionsFor('haproxy', 'okta'), '--listen', value]);
      assert.equal(code, 64, err);
      assert.match(err, /--listen: /);
      assert.match(err, message);
    });

  it('has the proxy listen where a public URL of this machine leads, and refuses an address of a mesh', async () => {
    assert.equal((await init([...optionsFor('haproxy', 'okta'), '--public-url', 'http://localhost:9191'])).code, 0);
    assert.match(made('proxy/haproxy.cfg'), /bind 127\.0\.0\.1:9191/);
    const { code, err } = await init([...optionsFor('istio', 'okta'), '--listen', '0.0.0.0:9191', '--force']);
    assert.equal(code, 64);
    assert.match(err, /--listen: .*gateway of the mesh/);
  });

  for (const proxy of ['traefik', 'caddy', 'istio'])
    it(`says to give ${proxy} its address before it is tried`, async () => {
      const url = 'https://gate.corp.example';
      assert.equal((await init([...optionsFor(proxy, 'okta'), '--public-url', url])).code, 0);
      const steps = made('README.md');
      const at = (text: string) => {
        assert.ok(steps.includes(text), `${text} in ${steps}`);
        return steps.indexOf(text);
      };
      const [address, started, tried] = [
        at(PROXIES[proxy]?.listens as string),
        at(proxy === 'istio' ? 'kubectl apply' : 'docker compose up'),
        at(`postern verify ${url}`),
      ];
      assert.ok(address < started && started < tried, steps);
      assert.doesNotMatch(steps, /Before it serves others/);
    });

  it('writes Istio’s objects for one’s own host, with the secret beside the configuration', async () => {
    assert.equal((await init([...optionsFor('istio', 'dex'), ...withSecret()])).code, 0);
    const files = readdirSync(join(folder, 'made')).sort();
    assert.deepEqual(files, [
      '.gitignore',
      'README.md',
      'client-secret',
      'custom.yaml',
      'mesh-values.yaml',
      'mesh.yaml',
      'postern.yaml',
      'workloads.yaml',
    ]);
    const texts = files.map(made).join('\n');
    assert.doesNotMatch(texts, /(?<!github-)mcp.example.com|image: postern:/);
    const objects = parseAllDocuments(made('workloads.yaml')).map((document) => document.toJS());
    const deployments = objects.filter(({ kind }) => kind === 'Deployment');
    assert.equal(deployments.length, 2);
    for (const { spec } of deployments) {
      const [volume] = spec.template.spec.volumes;
      assert.deepEqual(volume.projected.sources.flatMap(Object.keys), ['configMap', 'secret']);
      assert.equal(spec.template.spec.containers[0].workingDir, '/etc/postern');
    }
    assert.ok(parseAllDocuments(made('custom.yaml')).every((document) => document.get('kind') !== 'ConfigMap'));
  });

  it('replaces nothing without --force, and then not the secrets', async () => {
    assert.equal((await init(optionsFor('traefik', 'okta'))).code, 0);
    const before = made('.env');
    const again = await init(optionsFor('caddy', 'dex'));
    assert.equal(again.code, 64);
    assert.match(again.err, /--dir: .* holds a postern\.yaml.*--force/);
    assert.match(made('postern.yaml'), /Traefik/);
    assert.equal((await init([...optionsFor('caddy', 'dex'), '--force'])).code, 0);
    assert.match(made('postern.yaml'), /Caddy.*Dex/);
    assert.equal(made('.env'), before);
  });

  for (const name of ['README.md', 'compose.yaml', 'proxy/nginx.conf'])
    it(`writes nothing where a ${name} is there`, async () => {
      mkdirSync(join(folder, 'made', 'proxy'), { recursive: true });
      writeFileSync(join(folder, 'made', name), 'mine');
      const { code, err } = await init(optionsFor('nginx', 'keycloak'));
      assert.equal(code, 1);
      assert.match(err, new RegExp(`--dir: .*${name} is there already`));
      assert.equal(made(name), 'mine');
      const files = readdirSync(join(folder, 'made'), { recursive: true, encoding: 'utf8' });
      assert.deepEqual(
        files.filter((file) => file !== 'proxy'),
        [name],
      );
    });

  it('writes nothing where no folder can be', async () => {
    const { code, err } = await run(['init', '--dir', join(folder, 'secret', 'x'), ...optionsFor('nginx', 'keycloak')]);
    assert.equal(code, 1);
    assert.match(err, /--dir: .* cannot be written \(ENOTDIR\); no file was written/);
  });

  it('names every option that is needed where no one can be asked', async () => {
    for (const [given, missing] of [
      [[], '--proxy, --provider, --client-id, --server, --issuer, --groups'],
      [['--provider', 'google'], '--proxy, --client-id, --server, --domains'],
      [
        ['--proxy', 'istio', '--server', 'a=http://a', '--provider', 'okta', '--groups', 'a'],
        '--client-id, --issuer, --public-url',
      ],
    ] as const) {
      const { code, err } = await init(given);
      assert.equal(code, 64);
      assert.ok(err.includes(`give ${missing}: `), err);
      assert.ok(!existsSync(join(folder, 'made')));
    }
  });

  for (const [option, value, message] of [
    ['proxy', 'apache', /--proxy: "apache" is none of traefik, .*; write one of these names/],
    ['provider', 'constructor', /--provider: "constructor" is none of/],
    ['issuer', 'idp.example.com', /--issuer: must be an http or https URL/],
    ['issuer', 'https://user@idp.example.com', /--issuer: must be/],
    ['client-id', 'two words', /--client-id: must be a text without spaces/],
    ['client-id', '', /--client-id: /],
    [
      'public-url',
      'https://mcp.example.com/path',
      /--public-url: must be an address without a path, such as https:\/\/mcp\.example\.com/,
    ],
    ['public-url', 'http://mcp.example.com', /--public-url: must be https/],
    ['server', 'https://a.example.com/mcp', /--server: must be NAME=URL/],
    ['server', 'Git Hub=https://a.example.com/mcp', /--server: must be NAME=URL/],
    ['server', 'GitHub=https://a.example.com/mcp', /--server: must be lower-case letters/],
    ['server', 'a=ftp://a.example.com/', /--server: must be an http, https, ws or wss URL/],
    ['server', 'a=sh -c "echo x"', /--server: no shell reads quotes/],
    ['server', 'github=https://b.example.com/mcp', /--server: two have the same name/],
    ['groups', 'a,,b', /--groups: must be names of groups/],
    ['domains', 'example.com', /--domains: goes with google/],
    [
      'client-secret-file',
      '/nonexistent/secret',
      /--client-secret-file: \/nonexistent\/secret cannot be read \(ENOENT\)/,
    ],
  ] as const)
    it(`names --${option} where it is wrong: ${value}`, async () => {
      const args = optionsFor('haproxy', 'keycloak');
      const at = args.indexOf(`--${option}`);
      const { code, err } = await init(
        option === 'server' || at === -1 ? [...args, `--${option}`, value] : args.with(at + 1, value),
      );
      assert.equal(code, 64, err);
      assert.match(err, message);
      assert.ok(!existsSync(join(folder, 'made')));
    });

  it('names --groups and --issuer where Google has no use for them', async () => {
    for (const [option, value] of [
      ['groups', 'a'],
      ['issuer', 'https://accounts.google.com'],
    ] as const) {
      const { code, err } = await init([...optionsFor('haproxy', 'google'), `--${option}`, value]);
      assert.equal(code, 64);
      assert.match(err, new RegExp(`--${option}: .*google`));
    }
  });

  it('asks a person for what is left, again after a wrong answer, and takes the default for an empty one', async () => {
    const { ask, asked, left } = typing([
      ...['apache', 'envoy', 'okta', 'nowhere', 'https://example.okta.com', 'client'],
      ...[` ${CLIENT.secret} `, '', 'here', '0.0.0.0:8081'],
      ...[
        '',
        'x',
        'github=https://github-mcp.example.com/mcp',
        'github=https://b.example.com/',
        'wiki=https://wiki.example.com/mcp',
        '',
      ],
      ...['', 'engineering'],
    ]);
    const { code, err } = await init([], ask);
    assert.equal(code, 0, err);
    assert.deepEqual(left, [], asked.join('\n'));
    assert.match(err, /"apache" is none of/);
    assert.match(err, /must be an http or https URL/);
    assert.match(err, /must be NAME=URL/);
    assert.match(err, /there is a "github" already/);
    const { publicUrl, relay } = parse(made('postern.yaml'));
    assert.equal(publicUrl, 'http://127.0.0.1:8080');
    assert.deepEqual(Object.keys(relay.servers), ['github', 'wiki']);
    assert.equal(made('client-secret'), CLIENT.secret);
  });

  it('asks only for what no option says', async () => {
    const { ask, asked } = typing(['', '', 'github=https://a.example.com/mcp', '', 'ops']);
    const args = optionsFor('traefik', 'dex');
    for (const option of ['--server', '--groups']) args.splice(args.indexOf(option), 2);
    assert.equal((await init([...args, '--public-url', 'https://mcp.example.com'], ask)).code, 0);
    assert.equal(asked.length, 5, asked.join('\n'));
    assert.equal((await init([...optionsFor('traefik', 'dex'), '--force'], async () => assert.fail('asked'))).code, 0);
  });

  it('writes nothing where the person leaves', async () => {
    for (const count of [0, 2, 5]) {
      const { ask } = typing(['envoy', 'okta', 'https://example.okta.com', 'client', ''].slice(0, count));
      const { code, err } = await init([], ask);
      assert.equal(code, 1);
      assert.match(err, /ended before the last question; nothing was written/);
      assert.ok(!existsSync(join(folder, 'made')));
    }
  });

  describe('writes a folder that runs', function () {
    this.timeout(400_000);
    const ends: Array<() => unknown> = [];
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end();
    });

    for (const proxy of ['traefik', 'nginx'])
      it(`behind ${proxy}: who may use the server does, and every attack of the check script fails`, async function () {
        const load = await composeLoaderOrSkip(this);
        const [port] = await freePorts(1);
        const [issuer, server] = ['https://idp.example.com', 'https://everything.example.com/mcp'];
        const { code, err } = await init([
          ...['--proxy', proxy, '--provider', 'oidc', '--issuer', issuer, '--client-id', CLIENT.id, ...withSecret()],
          ...['--server', `everything=${server}`, '--groups', 'engineering'],
        ]);
        assert.equal(code, 0, err);
        const files = readdirSync(join(folder, 'made'), { recursive: true, encoding: 'utf8' })
          .map((name) => join(folder, 'made', name))
          .filter((file) => statSync(file).isFile() && !file.endsWith('.md'));
        const ports = await takeFreePorts(files, (text) => text.replaceAll('/app/bin/postern.js', POSTERN));
        const edge = `http://127.0.0.1:${ports.get('8080')}`;
        const provider = await startSignInProvider([edge]);
        ends.push(() => provider.stop());
        const everything = await startEverythingServer(port as number);
        ends.push(() => everything.stop());
        const text = made('postern.yaml')
          .replace(issuer, provider.issuer)
          .replace(server, `http://127.0.0.1:${port}/mcp`);
        writeFileSync(join(folder, 'made', 'postern.yaml'), text);

        const env = Object.fromEntries(
          made('.env')
            .trim()
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replace(/^'|'$/g, '')]),
        );
        const project = await load(join(folder, 'made', 'compose.yaml'), env);
        const running = await startProject(this, project);
        ends.push(() => running.stop());
        const args = [
          CHECK,
          '--edge',
          edge,
          '--relay',
          `http://127.0.0.1:${ports.get('4444')}`,
          '--user',
          'alice',
          '--outsider',
          'carol',
        ];
        await runFile(process.execPath, args, { timeout: 110_000 }).catch((error) => {
          throw new Error(`${error.stdout}${error.stderr}\n${running.output().slice(-3000)}`);
        });
      });
  });
});
