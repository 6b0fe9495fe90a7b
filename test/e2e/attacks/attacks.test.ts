import assert from 'node:assert/strict';
import { exportJWK, generateKeyPair } from 'jose';
import { importSigningKey, signAssertion } from '../../../src/identity/assertion.ts';
import { classifyHeader } from '../../../src/identity/headers.ts';
import { ANONYMOUS } from '../../../src/identity/identity.ts';
import { DEPLOYMENTS, type Deployment } from '../../support/deployment.ts';
import { programOrSkip } from '../../support/programs.ts';
import { ECHO, type Gauntlet, SECRET, startGauntlet } from './gauntlet.ts';
import { generated } from './generated-attacks.ts';
import {
  credentials,
  FOREIGN_NAMES,
  FORGED_NAMES,
  FORWARDED,
  type HeaderAttacks,
  HOP_BY_HOP,
  type Loot,
  MCP_HEADERS,
} from './header-attacks.ts';
import { askHttp2, http2Attacks, REFUSED_BY_CLIENT } from './http2-attacks.ts';
import { limitAttacks } from './limit-attacks.ts';
import { breaches, FORGER, leftToTheRelay } from './oracle.ts';
import { FORMS, TARGETS } from './path-attacks.ts';
import { type Answered, type Exchange, exchange, written } from './wire.ts';
import { wireAttacks } from './wire-attacks.ts';
import { valuesOf } from './witness.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
const MCP = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
/** nginx of Debian speaks HTTP/2 with TLS only. */
const HTTP2: readonly Deployment[] = ['traefik', 'caddy', 'envoy', 'envoy-grpc', 'haproxy'];
/** Refusals of some shapes are silence, which takes its time. */
const AT_ONCE = 60;
const OF_CI = 20_261_124;
/** At a desk another one each time; in CI the same, so that a change is judged by itself. */
const SEED = Number(
  process.env.POSTERN_TEST_SEED ?? (process.env.CI === 'true' ? OF_CI : Math.floor(Math.random() * 2 ** 31)),
);

/** Spellings that a proxy does not know as such. What the relay makes of them is looked at with the relay behind it. */
const LEFT_TO_THE_RELAY: Readonly<Record<Deployment, RegExp>> = {
  traefik: /^(?!)/,
  caddy: /[^\w.-]/,
  nginx: /^(?:x-authenticated|x-auth-request|x-webauth|remote)-[a-z-]+$/,
  envoy: /^(?!)/,
  'envoy-grpc': /^(?!)/,
  haproxy: /^trailer /,
};

interface Try extends Exchange {
  readonly name: string;
}

describe('attacks through the real proxies', () => {
  let gauntlet: Gauntlet;
  let loot: Loot;
  const matrix = new Map<string, string>();

  before(async function () {
    this.timeout(60_000);
    gauntlet = await startGauntlet();
    const token = gauntlet.token;
    loot = { token, captured: await capture(), selfMade: await forge() };
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
    const lines = [...matrix].map(([what, counts]) => `    ${what}: ${counts}`);
    process.stdout.write(`\n    seed ${SEED}; requests refused, harmless\n${lines.join('\n')}\n`);
  });

  /** As somebody who saw one request on its way: an assertion for alice, valid, for another path. */
  async function capture(): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${gauntlet.ports.auth}/verify/traefik`, {
      headers: {
        ...{ Authorization: `Bearer ${gauntlet.token}`, 'X-Forwarded-Method': 'GET', 'X-Forwarded-Proto': 'http' },
        ...{ 'X-Forwarded-Uri': '/app/captured', 'X-Forwarded-Host': '127.0.0.1', 'X-Forwarded-For': '127.0.0.1' },
      },
    });
    assert.equal(answer.status, 200);
    return answer.headers.get('x-authenticated-assertion') as string;
  }
  async function forge(): Promise<string> {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const published = gauntlet.expected.issuer;
    const key = await importSigningKey({ ...(await exportJWK(privateKey)) });
    return signAssertion(
      key,
      { ...ANONYMOUS, subject: FORGER, groups: ['admins', 'engineering'], method: 'bearer' },
      { method: 'GET', host: '127.0.0.1', path: '/app/x' },
      { issuer: published, audience: 'postern-relay', issuedAt: Math.floor(Date.now() / 1000), lifetime: 60 },
    );
  }

  for (const name of Object.keys(DEPLOYMENTS) as Deployment[])
    describe(name, function () {
      this.timeout(60_000);
      let front: number;
      let edge: number;
      let relayLog: number;
      /** Requests before these have been looked at; one that comes late is looked at with the next ones. */
      let judged: readonly [number, number];

      before(async function () {
        this.timeout(300_000);
        const program = await programOrSkip(this, DEPLOYMENTS[name].program);
        front = (await gauntlet.open(name, program, 'witness')).port;
        edge = (await gauntlet.open(name, program, 'relay')).port;
        relayLog = gauntlet.running.relay.output.length;
        judged = [gauntlet.witness.seen.length, gauntlet.echo.seen.length];
      });

      const bearer = (token: string) => `Authorization: Bearer ${token}`;

      /** Sends all, and holds every request that got through, whichever it came from, against what was allowed. */
      async function attack(what: string, port: number, tries: readonly Try[]): Promise<readonly Answered[]> {
        const { witness, echo } = gauntlet;
        const before = judged;
        const serves = async (when: string) => {
          const bytes =
            port === front
              ? written({ target: '/app/alive', lines: [bearer(gauntlet.token)] })
              : call(ECHO, [bearer(gauntlet.echoToken), 'User-Agent: alice']);
          const { statuses, text } = await exchange(port, { bytes, patience: 10_000 });
          assert.deepEqual(statuses, [200], `${when}: ${text}`);
        };
        // So that a proxy that lets nothing through at all does not pass, nor one that the attacks end.
        await serves('before');
        const answers = await inTurns(tries, (one) => exchange(port, one));
        await serves('afterwards');
        const wrong: string[] = [];
        // The check's own answer, health and metrics are for others.
        for (const [at, { text }] of answers.entries())
          if (/^x-authenticated-|^x-postern-(?!request)|^# HELP/im.test(text))
            wrong.push(`told the client of ${tries[at]?.name}: ${text.slice(0, 300)}`);
        for (const seen of witness.seen.slice(before[0])) {
          const found = await breaches(seen, gauntlet.expected);
          for (const header of leftToTheRelay(seen)) {
            noted.add(header.toLowerCase());
          }
          if (found.length > 0) wrong.push(`${found.join('; ')} in ${shown(seen)}`);
        }
        for (const { method, url, rawHeaders } of echo.seen.slice(before[1])) {
          const raw = JSON.stringify(rawHeaders);
          if (method !== 'POST' || url !== '/mcp') wrong.push(`${method} ${url} at the MCP server`);
          if (raw.includes(FORGER) || raw.includes(SECRET)) wrong.push(`forged at the MCP server: ${raw}`);
          for (let at = 0; at < rawHeaders.length; at += 2)
            if (classifyHeader(rawHeaders[at] as string) !== 'none') wrong.push(`identity at the MCP server: ${raw}`);
          if (valuesOf(rawHeaders, 'user-agent')[0] !== 'alice') wrong.push(`no credential, and served: ${raw}`);
        }
        judged = [witness.seen.length, echo.seen.length];
        const reached = judged[0] - before[0] + judged[1] - before[1] - 2;
        assert.equal(wrong.length, 0, `${wrong.length} got through:\n${wrong.slice(0, 8).join('\n')}`);
        const key = `${what} × ${name}`;
        const [refused, harmless] = counted.get(key) ?? [0, 0];
        counted.set(key, [refused + Math.max(0, tries.length - reached), harmless + reached]);
        if (tries.length > 0) matrix.set(key, counted.get(key)?.join(', ') ?? '');
        return answers;
      }
      const counted = new Map<string, readonly [number, number]>();
      const noted = new Set<string>();
      const call = (target: string, lines: readonly string[]) =>
        written({ method: 'POST', target, lines: [...MCP, ...lines], body: CALL });

      /** Each set of lines with and without a token, on a path for users, a public and a forbidden one. */
      async function headers(what: string, attacks: HeaderAttacks): Promise<void> {
        const token = [bearer(gauntlet.token)];
        const inFront = attacks.flatMap(([title, lines]) =>
          (
            [
              ['/app/x', token],
              ['/app/x', []],
              ['/public/x', []],
              ['/admin/x', token],
            ] as const
          ).map(([target, own]) => ({ name: title, bytes: written({ target, lines: [...own, ...lines] }) })),
        );
        await attack(what, front, inFront);
        const mcp = attacks.flatMap(([title, lines]) => [
          { name: title, bytes: call(ECHO, ['User-Agent: alice', bearer(gauntlet.echoToken), ...lines]) },
          { name: title, bytes: call(ECHO, ['User-Agent: nobody', ...lines]) },
        ]);
        await attack(what, edge, mcp);
      }

      it('identity headers in every spelling', () => headers('forged identity', FORGED_NAMES));
      it('identity headers of other products', () => headers('foreign identity', FOREIGN_NAMES));
      it('headers of MCP, cookies and credentials of odd forms', () => headers('mcp', MCP_HEADERS));
      it('hop-by-hop names', () => headers('hop-by-hop', HOP_BY_HOP));
      it('what describes another request', () => headers('forwarded', FORWARDED));
      it('credentials of others', () => headers('credentials', credentials(loot)));

      it('paths that could be read in two ways', async () => {
        const tries = TARGETS.flatMap((target) => [
          { name: target, bytes: written({ target }) },
          { name: target, bytes: written({ target, lines: [bearer(gauntlet.token)] }) },
        ]);
        await attack('paths', front, tries);
        await attack(
          'paths',
          edge,
          TARGETS.map((target) => ({ name: target, bytes: call(target, ['User-Agent: nobody']) })),
        );
      });

      it('targets and hosts of other forms', async () => {
        const tries = FORMS.flatMap(({ name: title, lines = [], ...form }) => [
          { name: title, bytes: written({ ...form, lines }) },
          { name: title, bytes: written({ ...form, lines: [bearer(gauntlet.token), ...lines] }) },
        ]);
        await attack('forms and hosts', front, tries);
      });

      it('requests that end in two places, trailers, pipelines and upgrades', async () => {
        await attack('wire', front, wireAttacks([]));
        await attack('wire', front, wireAttacks([bearer(gauntlet.token)]));
        await attack('wire', edge, wireAttacks(['User-Agent: nobody']));
      });

      it('as many and as large headers as there is room for, and more', async () => {
        await attack('limits', front, limitAttacks([bearer(gauntlet.token)]));
      });

      it('OPTIONS that is no preflight passes no more than any other request', async () => {
        const before = gauntlet.witness.seen.length;
        const tries = Array.from({ length: 50 }, (_none, at) => ({
          name: 'OPTIONS with a body',
          bytes: written({
            ...{ method: 'OPTIONS', target: '/servers/no-such/messages', body: CALL },
            lines: at % 2 === 0 ? MCP : [...MCP, 'Origin: https://evil.example'],
          }),
        }));
        const answers = await inTurns(tries, (one) => exchange(front, { ...one, patience: 10_000 }));
        assert.deepEqual([...new Set(answers.flatMap(({ statuses }) => statuses))], [401]);
        assert.equal(gauntlet.witness.seen.length, before);
      });

      it('WebSocket and HTTP+SSE of the relay with a forged identity', async () => {
        const upgrade = [
          ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
          ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: mcp', 'User-Agent: nobody'],
        ];
        const attacks = [...FORGED_NAMES, ...FOREIGN_NAMES, ...HOP_BY_HOP, ...FORWARDED, ...credentials(loot)];
        const tries = attacks.flatMap(([title, lines]) => [
          { name: title, bytes: written({ target: '/servers/echo/ws', lines: [...upgrade, ...lines] }) },
          { name: title, bytes: written({ target: '/servers/echo/sse', lines: ['User-Agent: nobody', ...lines] }) },
        ]);
        const answers = await attack('other transports', edge, tries);
        for (const [at, { text }] of answers.entries())
          assert.doesNotMatch(text, /^HTTP\/1\.[01] (?:101|2)/m, tries[at]?.name);
        const token = bearer(gauntlet.echoToken);
        const alive = written({ target: '/servers/echo/ws', lines: [...upgrade, token] });
        assert.deepEqual((await exchange(edge, { bytes: alive, patience: 10_000 })).statuses, [101]);
      });

      it('HTTP/2', async function () {
        if (!HTTP2.includes(name)) this.skip();
        const before = gauntlet.witness.seen.length;
        const statuses = await inTurns(
          [`Bearer ${gauntlet.token}`, ''].flatMap((authorization) =>
            ['/app/x', '/public/x', '/admin/x'].flatMap((path) =>
              http2Attacks('127.0.0.1').map(([title, fields]) => ({ title, fields, authorization, path })),
            ),
          ),
          ({ fields, authorization, path }) =>
            askHttp2(front, { ':path': path, ...(authorization === '' ? {} : { authorization }), ...fields }),
        );
        for (const path of ['/app/x', '/public/x'])
          await askHttp2(front, { ':path': path, ':method': 'POST' }, { 'x-authenticated-user': FORGER });
        for (const fields of REFUSED_BY_CLIENT)
          await assert.rejects(askHttp2(front, { ':path': '/public/x', ...fields }));
        const wrong: string[] = [];
        for (const seen of gauntlet.witness.seen.slice(before)) {
          // Told in docs/proxy-holes.md; the relay refuses such a request.
          if (name === 'traefik' && valuesOf(seen.rawHeaders, 'host').join() === '') continue;
          const found = await breaches(seen, gauntlet.expected);
          if (found.length > 0) wrong.push(`${found.join('; ')} in ${shown(seen)}`);
        }
        assert.equal(wrong.length, 0, `${wrong.length} got through:\n${wrong.slice(0, 8).join('\n')}`);
        const reached = gauntlet.witness.seen.length - before;
        assert.ok(reached > 10, 'some of them are allowed');
        // Judged here, by a rule of its own.
        judged = [gauntlet.witness.seen.length, gauntlet.echo.seen.length];
        matrix.set(`HTTP/2 × ${name}`, `${statuses.length + 2 - reached}, ${reached}`);
      });

      it(`generated: names, paths and forwarded headers`, async () => {
        const tries = generated(SEED, 60);
        const both = tries.flatMap(({ target, lines }) => [
          { name: `${target} ${lines}`, bytes: written({ target, lines }) },
          { name: `${target} ${lines}`, bytes: written({ target, lines: [bearer(gauntlet.token), ...lines] }) },
        ]);
        await attack('generated', front, both);
        await attack(
          'generated',
          edge,
          tries.map(({ lines }) => ({
            name: lines.join(),
            bytes: call(ECHO, ['User-Agent: alice', bearer(gauntlet.echoToken), ...lines]),
          })),
        );
      });

      it('afterwards: the relay believed nobody but alice', async () => {
        await attack('late', front, []);
        const relayed = gauntlet.running.relay.output
          .slice(relayLog)
          .split('\n')
          .filter((line) => /^\{.*"relayed".*\}$/.test(line))
          .map((line) => JSON.parse(line) as { user: string; way: string });
        assert.ok(relayed.length > 20, `${relayed.length}`);
        assert.deepEqual([...new Set(relayed.map(({ user, way }) => `${user} by ${way}`))], ['alice by proxy']);
        // docs/proxy-holes.md says which and why.
        for (const header of noted)
          assert.ok(LEFT_TO_THE_RELAY[name].test(header), `${header} passed, and the relay is all that refuses it`);
      });
    });
});

/** Without tokens, which would fill the screen. */
function shown(seen: object): string {
  return JSON.stringify(seen)
    .replace(/eyJ[\w.-]+/g, '…')
    .slice(0, 1_000);
}

async function inTurns<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await run(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
