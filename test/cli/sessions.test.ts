import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { main } from '../../src/cli/main.ts';
import { peopleRoutes } from '../../src/forward-auth/operator/people.ts';
import { sessionRoutes } from '../../src/forward-auth/operator/session-routes.ts';
import { drain, listen } from '../../src/platform/http.ts';
import { createInternalServer } from '../../src/platform/internal-listener.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createOperatorApi } from '../../src/platform/operator-api.ts';
import { Readiness } from '../../src/platform/readiness.ts';
import { BROWSER, ISSUER, imagineReplicas, signedIn } from '../forward-auth/support/imagined-sessions.ts';

const TOKEN = 'operator-token-of-a-test';
const SUSPENDED = 'suspended-user';

describe('postern sessions', () => {
  let server: Server;
  let port: number;
  let imagined: ReturnType<typeof imagineReplicas>;

  before(async () => {
    imagined = imagineReplicas();
    const log = createLogger('auth', 'silent');
    const none = async () => [];
    const people = peopleRoutes({
      sessions: imagined.service,
      granting: none,
      ofApiKeys: none,
      isSuspended: ({ subject }) => subject === SUSPENDED,
    });
    const api = createOperatorApi({ token: [TOKEN], routes: [...sessionRoutes(imagined.service), ...people], log });
    server = createInternalServer(new Registry(), new Readiness({}), { operator: api });
    port = await listen(server, { host: '127.0.0.1', port: 0 });
  });
  after(() => drain(server, 0));

  const run = (args: string[], env: Record<string, string> = {}) => command(['sessions', ...args], env);

  async function command(line: string[], env: Record<string, string> = {}) {
    let output = '';
    let errors = '';
    const code = await main(line, {
      env: {
        POSTERN_AUTH_INTERNAL_LISTEN: `127.0.0.1:${port}`,
        POSTERN_AUTH_OPERATOR_TOKEN: TOKEN,
        POSTERN_AUTH_PROVIDERS: JSON.stringify([{ id: 'corp', issuer: ISSUER }]),
        ...env,
      },
      print: (text) => {
        output += `${text}\n`;
      },
      printError: (text) => {
        errors += `${text}\n`;
      },
    });
    return { code, output, errors };
  }

  it('lists and ends the sessions of a person, one or all', async () => {
    for (const userAgent of ['a', 'b\u001b[2J', 'c'])
      await imagined.service.begin(signedIn(), { ...BROWSER, userAgent }, undefined);
    const listed = await run(['list', '--user', 'alice']);
    assert.equal(listed.code, 0, listed.errors);
    assert.ok(!listed.output.includes('\u001b'), 'a browser’s name does not reach the terminal as it is');
    const lines = listed.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { key: string });
    assert.equal(lines.length, 3);
    assert.equal((await run(['end', '--session', lines[0]?.key as string])).output, '1 session ended\n');
    assert.equal((await run(['end', '--user', 'alice', '--provider', 'corp'])).output, '2 sessions ended\n');
    const none = await run(['list', '--user', 'alice', '--issuer', ISSUER]);
    assert.deepEqual([none.code, none.output, none.errors], [0, '', 'no sessions\n']);
    const gone = await run(['end', '--session', lines[0]?.key as string]);
    assert.equal(gone.code, 1);
    assert.match(gone.errors, /no such session/);
  });

  it('takes a key that begins with a dash', async () => {
    for (const args of [
      ['end', '--session', '-aB3xY_91kq'],
      ['end', '--session', '--B3xY_91kq'],
      ['--session', '-aB3xY_91kq', 'end'],
      ['end', '--session=-aB3xY_91kq'],
    ])
      assert.match((await run(args)).errors, /no such session/);
    assert.match((await run(['end', '--session', '--user', 'a'])).errors, /argument is ambiguous/);
    assert.match((await run(['end', '--sesion', 'a'])).errors, /unknown option --sesion; did you mean --session/);
  });

  it('says what is wrong with the command line', async () => {
    for (const [args, problem] of [
      [['show', '--user', 'a'], /sessions list/],
      [['end'], /--user/],
      [['end', '--user', 'a', '--limit', '1'], /--limit and --after go with `list`/],
      [['list', '--session', 'k'], /--session goes with/],
      [['end', '--session', '../x'], /--session needs/],
      [['list', '--user', 'a', '--provider', 'other'], /no provider "other"/],
      [['list', '--user', 'a', '--provider', 'corp', '--issuer', ISSUER], /one of/],
    ] as const) {
      const { code, errors } = await run([...args]);
      assert.equal(code, 64, errors);
      assert.match(errors, problem);
    }
    const limit = await run(['list', '--limit', 'many']);
    assert.equal(limit.code, 1);
    assert.match(limit.errors, /limit must be a number from 1 to 1000/);
  });

  it('finds a user by any name, and ends nothing where several are called so', async () => {
    const elsewhere = 'https://other.example.com';
    const begin = (given: object, names: object) => {
      const one = signedIn(given);
      return imagined.service.begin({ ...one, identity: { ...one.identity, ...names } }, BROWSER, undefined);
    };
    await begin({ subject: '8c5e' }, { username: 'asmith', email: 'a.smith@example.com', name: 'Ann Smith' });
    await begin({ subject: '8c5e' }, { username: 'asmith', email: 'a.smith@example.com', name: 'Ann Smith' });
    await begin({ subject: 'x#1', issuer: elsewhere }, { username: 'smith2', email: '', name: 'ann smith' });
    const count = async (...words: string[]) =>
      (await run(['list', ...words])).output.split('\n').filter((line) => line !== '').length;
    for (const name of ['asmith', 'ASmith', 'A.Smith@example.com', '8c5e', `${ISSUER}#8c5e`])
      assert.equal(await count('--user', name), 2, name);
    assert.equal(await count('--user', 'Ann Smith'), 3);
    assert.equal(await count('--user', 'Ann Smith', '--issuer', elsewhere), 1);
    assert.equal(await count('--user', `${elsewhere}#x#1`), 1);
    assert.equal(await count('--user', 'smith'), 0);
    assert.equal(await count(), 3);
    const page = await run(['list', '--limit', '1']);
    const after = /--after (\S+)/.exec(page.errors)?.[1] as string;
    assert.notEqual(after, undefined, page.errors);
    const rest = await run(['list', '--limit', '1', '--after', after]);
    assert.notEqual(rest.output, page.output);
    const several = await run(['end', '--user', 'ann smith']);
    assert.equal(several.code, 1);
    assert.match(several.errors, /2 users are called "ann smith"/);
    assert.ok(several.errors.includes(`${elsewhere}#x#1`));
    assert.equal(await count(), 3);
    assert.equal((await run(['end', '--user', `${elsewhere}#x#1`])).output, '1 session ended\n');
    assert.equal((await run(['end', '--user', 'Ann Smith'])).output, '2 sessions ended\n');
    assert.match((await run(['end', '--user', 'asmith'])).errors, /called so/);
  });

  it('lets explain find a user by any name, with the groups of the session', async () => {
    const begin = (subject: string, names: object, groups: string[]) => {
      const one = signedIn({ subject, groups });
      return imagined.service.begin({ ...one, identity: { ...one.identity, ...names } }, BROWSER, undefined);
    };
    await begin('f00d', { username: 'bking', email: 'b.king@example.com', name: 'Bea King' }, ['enginering']);
    await begin(SUSPENDED, { username: 'carl' }, ['engineering']);
    await begin('twin-1', { name: 'Twin' }, []);
    await begin('twin-2', { name: 'twin' }, []);
    const rules = JSON.stringify([{ match: { path: '/app/**' }, allow: { groups: ['engineering', 'sales'] } }]);
    const explain = (user: string, ...more: string[]) =>
      command(['explain', 'http://127.0.0.1:8080/app/x', '--user', user, ...more], { POSTERN_AUTH_RULES: rules });
    for (const name of ['bking', 'B.King@example.com', 'bea king', 'f00d', `${ISSUER}#f00d`]) {
      const { output, errors } = await explain(name);
      assert.equal(errors, '', name);
      assert.ok(
        output.startsWith(`user: ${ISSUER}#f00d (bking, b.king@example.com, Bea King) by session, groups [enginering]`),
      );
      assert.match(output, /^why: has groups \[enginering\], needs one of the groups \[engineering, sales\]$/m);
    }
    const json = JSON.parse((await explain('bking', '--groups', 'sales', '--json')).output);
    assert.deepEqual([json.decision, json.person.user, json.person.groups], ['allow', `${ISSUER}#f00d`, ['sales']]);
    assert.match((await explain('carl')).output, /^decision: deny \(403, user_suspended/m);
    const several = await explain('Twin');
    assert.deepEqual([several.code, several.output], [1, '']);
    assert.match(several.errors, /2 users are called "Twin"/);
    const nobody = await explain('dora');
    assert.match(nobody.errors, /knows no user "dora": taken as a subject\nthe groups of the user are not known/);
    assert.ok(nobody.output.startsWith(`user: ${ISSUER}#dora by session`));
    const away = await command(['explain', 'http://127.0.0.1:8080/app/x', '--user', `https://x.example.com#d#1`], {
      ...{ POSTERN_AUTH_RULES: rules, POSTERN_AUTH_INTERNAL_LISTEN: '127.0.0.1:1' },
    });
    assert.match(away.errors, /does not answer at .*taken as it is/);
    assert.match(away.output, /^user: https:\/\/x\.example\.com#d#1 by session/);
  });

  it('ends with 78 without a token, and with 1 where forward-auth refuses or is not there', async () => {
    assert.equal((await run(['list', '--user', 'a'], { POSTERN_AUTH_OPERATOR_TOKEN: '' })).code, 78);
    const refused = await run(['list', '--user', 'a'], { POSTERN_AUTH_OPERATOR_TOKEN: 'wrong-secret' });
    assert.equal(refused.code, 1);
    assert.doesNotMatch(refused.errors, /wrong-secret/);
    const away = await run(['list', '--user', 'a'], { POSTERN_AUTH_INTERNAL_LISTEN: '127.0.0.1:1' });
    assert.equal(away.code, 1);
    assert.match(away.errors, /is it running/);
  });
});
