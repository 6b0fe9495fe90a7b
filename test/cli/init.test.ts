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
    ...(provider === 'google' ? ['--domains', 'example.com'] : ['--groups', 'engineering,ops']),
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
    const who = provider === 'google' ? 'anyone-signed-in' : { groups: ['engineering', 'ops'] };
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
      const expected = provider === 'google' ? { providers: ['google'] } : { groups: ['engineering', 'ops'] };
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
    ['proxy', 'apache', /--proxy: "apache" is none of traefik, .*did you mean/],
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
      ...['apache', 'envoy', 'okta', 'nowhere', 'https://example.okta.com', 'client', ''],
      ...[
        '',
        'x',
        'github=https://github-mcp.example.com/mcp',
        'github=https://b.example.com/',
        'wiki=https://wiki.example.com/mcp',
        '',
      ],
      ...['', 'engineering', ` ${CLIENT.secret} `],
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
    const { ask, asked } = typing(['github=https://a.example.com/mcp', '', 'ops', '']);
    const args = optionsFor('traefik', 'dex');
    for (const option of ['--server', '--groups']) args.splice(args.indexOf(option), 2);
    assert.equal((await init([...args, '--public-url', 'https://mcp.example.com'], ask)).code, 0);
    assert.equal(asked.length, 4, asked.join('\n'));
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
