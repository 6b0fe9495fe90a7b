import assert from 'node:assert/strict';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { type Decision, deny, REASONS } from '../../../../src/forward-auth/decision/decision.ts';
import type {
  EnvoyCheckRequest,
  EnvoyCheckResponse,
  HeaderValueOption,
} from '../../../../src/forward-auth/proxies/ext-authz/messages.ts';
import { renderResult } from '../../../../src/forward-auth/proxies/ext-authz/render.ts';
import { startExtAuthz } from '../../../../src/forward-auth/proxies/ext-authz/server.ts';
import { renderRefusal } from '../../../../src/forward-auth/proxies/render.ts';
import { IDENTITY_HEADER_NAMES } from '../../../../src/identity/headers.ts';
import { ANONYMOUS } from '../../../../src/identity/identity.ts';
import { AddressList } from '../../../../src/platform/addresses.ts';
import { createLogger } from '../../../../src/platform/log.ts';
import { AUTHORIZATION, AUTHORIZATION_V2 } from '../../../support/ext-authz-service.ts';
import { type Gate, openGate, RESOURCE } from '../../support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from '../../support/key-server.ts';

const GITHUB = '/servers/github/mcp';
const RULES = [
  { match: { path: '/context/**', context: { team: 'red' } }, public: true },
  { match: { path: '/public/**' }, public: true },
  { match: { path: '/servers/github/**' }, allow: { groups: ['engineering'] } },
];
const { Check } = AUTHORIZATION;
const definition = Check as NonNullable<typeof Check>;
const onTheWire = (response: EnvoyCheckResponse) =>
  definition.responseDeserialize(definition.responseSerialize(response)) as EnvoyCheckResponse;
const named = (options: readonly HeaderValueOption[], name: string) =>
  options.filter(({ header }) => header.key === name).map(({ header }) => header.value);

function call(port: number, method: NonNullable<typeof Check>, question: object): Promise<EnvoyCheckResponse> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise<EnvoyCheckResponse>((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      question,
      (error: ServiceError | null, answer?: unknown) =>
        error === null ? resolve(answer as EnvoyCheckResponse) : reject(error),
    );
  }).finally(() => client.close());
}

function question(
  path: string,
  given: {
    headers?: Record<string, string>;
    raw?: Array<[string, string]>;
    context?: Record<string, string>;
    http?: object;
  } = {},
): EnvoyCheckRequest {
  const { headers = {}, raw, context = {}, http = {} } = given;
  const listed = raw?.map(([key, value]) => ({ key, raw_value: Buffer.from(value, 'latin1') }));
  return {
    attributes: {
      source: { address: { socket_address: { address: '203.0.113.7' } } },
      request: {
        http: {
          ...{ method: 'GET', path, host: 'mcp.example.com', scheme: 'https' },
          ...(listed === undefined
            ? { headers: { 'x-forwarded-proto': 'https', ...headers } }
            : { header_map: { headers: listed } }),
          ...http,
        },
      },
      context_extensions: context,
    },
  };
}

describe('Envoy’s ext_authz over gRPC', () => {
  const key = rsaKey('one');
  let idp: KeyServer;
  let gate: Gate;
  let port: number;
  const ask = (...of: Parameters<typeof question>) => call(port, definition, question(...of));

  before(async () => {
    idp = await startKeyServer([key]);
    gate = await openGate({
      providers: [{ id: 'corp', issuer: idp.issuer }],
      rules: RULES,
      grpc: '127.0.0.1:0',
    });
    port = (gate as Gate & { grpcPort: number }).grpcPort;
  });
  after(async () => {
    await gate.close();
    await idp.stop();
  });

  const refused = (response: EnvoyCheckResponse, code: number, reason: string) => {
    assert.notEqual(response.status?.code ?? 0, 0);
    assert.equal(response.ok_response, undefined);
    assert.equal(response.denied_response?.status.code, code);
    assert.equal((JSON.parse(response.denied_response?.body ?? '{}') as { reason: string }).reason, reason);
    return response.denied_response as NonNullable<EnvoyCheckResponse['denied_response']>;
  };

  for (const raw of [false, true])
    it(`allows a token and overwrites every identity header (${raw ? 'raw' : 'joined'} headers)`, async () => {
      const token = await idp.sign(key, { aud: RESOURCE });
      const headers = { authorization: `Bearer ${token}`, 'x-request-id': 'r-1', x_authenticated_user: 'root' };
      const response = await ask(GITHUB, raw ? { raw: Object.entries(headers) } : { headers });
      assert.equal(response.status?.code ?? 0, 0);
      const { headers: set, headers_to_remove: removed } = response.ok_response as NonNullable<
        EnvoyCheckResponse['ok_response']
      >;
      assert.deepEqual(named(set, 'x-authenticated-user'), ['alice']);
      for (const name of IDENTITY_HEADER_NAMES.map((one) => one.toLowerCase()))
        assert.equal(named(set, name).length + removed.filter((one) => one === name).length, 1, name);
      for (const { header, append, append_action } of set) {
        assert.notEqual(header.value, '', header.key);
        assert.equal(append?.value ?? false, false);
        assert.equal(append_action, 2);
      }
      assert.ok(removed.includes('x_authenticated_user'), 'an alias is removed');
      const { fields } = response.dynamic_metadata;
      assert.equal(fields.subject?.string_value, 'alice');
      assert.equal(fields.groups?.list_value?.values[0]?.string_value, 'engineering');
      assert.equal(fields.request_id?.string_value, 'r-1');
      assert.match(fields.rule?.string_value ?? '', /^auth\.rules/);
    });

  it('removes what has no value, for nobody and on public paths', async () => {
    const response = await ask('/public/x', { headers: { 'x-auth-request-user': 'root', 'x-other': '1' } });
    assert.equal(response.status?.code ?? 0, 0);
    const removed = response.ok_response?.headers_to_remove ?? [];
    assert.ok(removed.includes('x-authenticated-user') && removed.includes('x-auth-request-user'));
    assert.ok(!removed.includes('x-other'));
  });

  it('refuses whole: challenge, cookies and body', async () => {
    const denied = refused(await ask(GITHUB), 401, 'no_credential');
    assert.match(String(named(denied.headers, 'www-authenticate')), /^Bearer resource_metadata=/);
    refused(await ask('/nowhere'), 403, 'no_rule');
    refused(await ask('/public/..%2fadmin'), 400, 'ambiguous_target');
    refused(await ask('//admin'), 400, 'ambiguous_target');
  });

  it('sees duplicates where the headers come raw, and does not believe joined ones', async () => {
    const token = await idp.sign(key, { aud: RESOURCE });
    const twice: Array<[string, string]> = [
      ['authorization', `Bearer ${token}`],
      ['authorization', 'Bearer x'],
    ];
    refused(await ask(GITHUB, { raw: twice }), 400, 'credential_duplicated');
    const joined = await ask(GITHUB, { headers: { authorization: `Bearer ${token},Bearer x` } });
    assert.notEqual(joined.status?.code ?? 0, 0);
  });

  it('refuses a question without its parts', async () => {
    for (const http of [{ method: '' }, { path: '' }, { host: '' }, { host: 'a,b' }])
      refused(await ask('/public/x', { http }), 400, 'forwarded_headers');
    refused(await call(port, definition, {}), 400, 'forwarded_headers');
  });

  it('ignores what the proxies of other endpoints would send', async () => {
    const headers = { 'x-forwarded-uri': '/public/x', 'x-original-uri': '/public/x', 'x-original-method': 'GET' };
    refused(await ask(GITHUB, { headers }), 401, 'no_credential');
  });

  it('matches rules by context_extensions, which no header can set', async () => {
    assert.equal((await ask('/context/x', { context: { team: 'red' } })).status?.code ?? 0, 0);
    refused(await ask('/context/x', { context: { team: 'blue' } }), 403, 'no_rule');
    refused(await ask('/context/x', { headers: { team: 'red', 'context-team': 'red' } }), 403, 'no_rule');
  });

  it('tells clients of version 2 what to do, and answers health checks', async () => {
    const v2 = AUTHORIZATION_V2.Check as NonNullable<typeof Check>;
    await assert.rejects(call(port, v2, {}), (error: ServiceError) => {
      assert.equal(error.code, status.UNIMPLEMENTED);
      assert.match(error.details, /transport_api_version: V3/);
      return true;
    });
    const health = healthService.Check as unknown as NonNullable<typeof Check>;
    const answer = (await call(port, health, { service: 'envoy.service.auth.v3.Authorization' })) as unknown;
    assert.equal((answer as { status: string }).status, 'SERVING');
  });

  it('refuses everybody but trusted proxies', async () => {
    const closed = await openGate({ rules: RULES, trustedProxies: ['192.0.2.1'], grpc: '127.0.0.1:0' });
    try {
      const { grpcPort } = closed as Gate & { grpcPort: number };
      refused(await call(grpcPort, definition, question('/public/x')), 403, 'untrusted_proxy');
    } finally {
      await closed.close();
    }
  });

  it('a check that fails, or says nothing, is an error and no empty answer', async () => {
    const log = createLogger('auth', 'silent');
    const broken = [() => Promise.reject(new Error('x')), () => undefined, () => ({}), () => ({ decision: {} })];
    for (const runCheck of broken) {
      const running = await startExtAuthz({
        listen: { host: '127.0.0.1', port: 0 },
        current: () => ({ trusted: new AddressList(['127.0.0.1']), runCheck: runCheck as never }),
        log,
        maxMessage: 65_536,
      });
      await assert.rejects(call(running.port, definition, question('/public/x')), { code: status.INTERNAL });
      await running.close(1_000);
    }
  });
});

describe('the end of the gRPC server', () => {
  const open = (runCheck: () => Promise<unknown>) =>
    startExtAuthz({
      listen: { host: '127.0.0.1', port: 0 },
      current: () => ({ trusted: new AddressList(['127.0.0.1']), runCheck: runCheck as never }),
      log: createLogger('auth', 'silent'),
      maxMessage: 65_536,
    });
  const refusal = deny(403, 'no_rule', 'x');

  it('lets a check that runs be answered, and takes no new one', async () => {
    let answer = () => {};
    let asked = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const running = await open(
      () =>
        new Promise((resolve) => {
          answer = () => resolve({ decision: refusal, answer: renderRefusal(refusal, 'r') });
          asked();
        }),
    );
    const pending = call(running.port, definition, question('/public/x'));
    await arrived;
    const closed = running.close(10_000);
    answer();
    assert.equal((await pending).denied_response?.status.code, 403);
    await closed;
    await assert.rejects(call(running.port, definition, question('/public/x')), { code: status.UNAVAILABLE });
  });

  it('cuts a check that never ends, and that is no allow', async () => {
    const running = await open(() => new Promise(() => {}));
    const pending = assert.rejects(call(running.port, definition, question('/public/x')));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await running.close(10);
    await pending;
  });

  it('a question that is too large is an error', async () => {
    const running = await open(async () => ({ decision: refusal, answer: renderRefusal(refusal, 'r') }));
    const large = question('/public/x', { headers: { cookie: 'x'.repeat(70_000) } });
    await assert.rejects(call(running.port, definition, large), { code: status.RESOURCE_EXHAUSTED });
    await running.close(1_000);
  });

  it('a taken port is said', async () => {
    const running = await open(async () => undefined);
    await assert.rejects(
      startExtAuthz({
        listen: { host: '127.0.0.1', port: running.port },
        current: () => ({ trusted: new AddressList([]), runCheck: () => undefined as never }),
        log: createLogger('auth', 'silent'),
        maxMessage: 1,
      }),
      new RegExp(`cannot listen on 127\\.0\\.0\\.1:${running.port}`),
    );
    await running.close(1_000);
  });
});

describe('what Envoy takes for an allow', () => {
  const all: Array<Exclude<Decision, { kind: 'allow' }>> = [
    ...REASONS.challenge.map((reason) => ({
      ...({ kind: 'challenge', description: 'x', scopes: [], metadataUrl: undefined, rule: '' } as const),
      reason,
    })),
    ...REASONS.deny.flatMap((reason) => ([400, 403, 431] as const).map((code) => deny(code, reason, 'x'))),
    ...REASONS.unavailable.map((reason) => ({ kind: 'unavailable', reason, description: 'x' }) as const),
    { kind: 'redirect', reason: 'sign_in', location: 'https://x/', rule: '', cookies: ['a=1', 'b=2'] },
    { kind: 'limit', reason: 'rate_limited', by: 'user', limit: 1, window: 1000, resetIn: 1000, rule: '' },
  ];

  it('is never what another decision becomes, on the wire', () => {
    for (const decision of all) {
      const response = onTheWire(renderResult({ decision, answer: renderRefusal(decision, 'r') }, [], 'r'));
      const about = `${decision.kind} ${decision.reason}`;
      assert.ok((response.status?.code ?? 0) > 0, about);
      assert.equal(response.ok_response, undefined, about);
      assert.ok((response.denied_response?.status.code ?? 0) >= 300, about);
    }
  });

  it('is no contradiction: neither an allow that reads as a refusal, nor a refusal that reads as an allow', () => {
    const allow: Decision = { kind: 'allow', reason: 'public', identity: ANONYMOUS, rule: '' };
    const contradictions = [
      { decision: allow, answer: { status: 403, headers: [], body: '' } },
      { decision: allow, answer: { status: 204, headers: [], body: '' } },
      ...all.map((decision) => ({ decision, answer: { status: 200, headers: [], body: '' } })),
    ];
    for (const result of contradictions) {
      const response = onTheWire(renderResult(result, [], 'r'));
      assert.ok((response.status?.code ?? 0) > 0);
      assert.ok((response.denied_response?.status.code ?? 0) >= 300);
    }
  });

  it('carries cookies to the browser, and what is left of the request’s own upstream', () => {
    const allow: Decision = { kind: 'allow', reason: 'public', identity: ANONYMOUS, rule: '' };
    const headers = ['Content-Length', '0', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Cookie', 'mine=1'];
    const { ok_response: ok } = renderResult({ decision: allow, answer: { status: 200, headers, body: '' } }, [], 'r');
    assert.deepEqual(named(ok?.response_headers_to_add ?? [], 'set-cookie'), ['a=1', 'b=2']);
    assert.deepEqual(named(ok?.headers ?? [], 'cookie'), ['mine=1']);
    assert.ok(!ok?.headers.some(({ header }) => header.key === 'content-length'));
    const none = renderResult(
      { decision: allow, answer: { status: 200, headers: ['Cookie', ''], body: '' } },
      ['cookie', '__Host-postern=secret'],
      'r',
    );
    assert.ok(none.ok_response?.headers_to_remove.includes('cookie'), 'ours alone: none goes on');
  });

  it('a redirect carries each of its cookies', () => {
    const decision = all.find(({ kind }) => kind === 'redirect') as (typeof all)[number];
    const { denied_response: denied } = renderResult({ decision, answer: renderRefusal(decision, 'r') }, [], 'r');
    const cookies = (denied?.headers ?? []).filter(({ header }) => header.key === 'set-cookie');
    assert.deepEqual(
      cookies.map(({ append }) => append.value),
      [false, false],
    );
    assert.deepEqual(named(denied?.headers ?? [], 'location'), ['https://x/']);
  });
});
