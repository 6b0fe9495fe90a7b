import assert from 'node:assert/strict';
import { afterEach, before, describe, it } from 'mocha';
import { endAll, onEnd, relay } from '../../relay/support/relay.ts';
import { clientOrSkip } from '../../support/client-programs.ts';
import { type Programs, type Revision, runServerScenarios, SCORED } from '../../support/conformance.ts';
import { startConformanceServer } from '../../support/conformance-server/server.ts';
import { freePorts } from '../../support/free-port.ts';
import { goSdkServer, startGoSdkServer } from '../../support/go-sdk-server.ts';
import { startHeaderInjector } from '../../support/header-injector.ts';

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** What only the server itself could do, by scenario. */
type Failing = Readonly<Record<string, string>>;

const NAMES_QUESTIONS = 'a server with sessions gives its questions no names, and the scenario wants one';
const JUDGES_ITSELF = 'a server with sessions answers by itself for what its client has not declared';
const NOT_BY_RESULT = 'the server asks on a stream, which it has not without sessions, and not by a result';

describe('the conformance scenarios through the relay', function () {
  this.timeout(300_000);
  let programs: Programs;
  let go: string;
  before(async function () {
    programs = { node: await clientOrSkip(this, 'node'), program: await clientOrSkip(this, 'conformance') };
    go = await goSdkServer(this);
  });
  afterEach(endAll);

  const SERVERS: ReadonlyArray<readonly [name: string, revision: Revision, () => Promise<Server>, Failing]> = [
    ['the TypeScript SDK, without sessions', '2025-11-25', () => startConformanceServer(['modern']), {}],
    [
      'the TypeScript SDK, with sessions',
      '2026-07-28',
      () => startConformanceServer(['legacy']),
      { 'server-stateless': JUDGES_ITSELF, 'input-required-result-basic-elicitation': NAMES_QUESTIONS },
    ],
    ['the Go SDK, with sessions', '2025-11-25', () => startGoSdkServer(go, { stateless: false }), {}],
    ['the Go SDK, without sessions', '2026-07-28', () => startGoSdkServer(go, { stateless: true }), {}],
    [
      'the Go SDK, without sessions',
      '2025-11-25',
      () => startGoSdkServer(go, { stateless: true }),
      {
        'tools-call-sampling': NOT_BY_RESULT,
        'tools-call-elicitation': NOT_BY_RESULT,
        'elicitation-sep1034-defaults': NOT_BY_RESULT,
        'elicitation-sep1330-enums': NOT_BY_RESULT,
      },
    ],
    [
      'the Go SDK, with sessions',
      '2026-07-28',
      () => startGoSdkServer(go, { stateless: false }),
      {
        'input-required-result-basic-elicitation': NAMES_QUESTIONS,
        'input-required-result-multi-round': 'the server asks once in a session, and its second round is a result',
      },
    ],
  ];

  for (const [name, revision, open, failing] of SERVERS)
    it(`${revision}, of a server of ${name}: all but ${Object.keys(failing).length}`, async () => {
      const server = await open();
      onEnd(() => server.stop());
      const [port = 0] = await freePorts(1);
      const origin = `http://127.0.0.1:${port}`;
      await relay({ listen: `127.0.0.1:${port}`, servers: { one: { url: server.url } } }, { publicUrl: origin });
      const injector = await startHeaderInjector(`${origin}/servers/one/mcp`, { 'x-authenticated-user': 'alice' });
      onEnd(() => injector.stop());
      const { passed, failed, output } = await runServerScenarios(programs, injector.url, revision);
      assert.deepEqual([...failed].sort(), Object.keys(failing).sort(), output);
      assert.equal(passed.length + failed.length, SCORED[revision]);
    });
});
