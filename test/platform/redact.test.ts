import assert from 'node:assert/strict';
import { DependencyUnavailable } from '../../src/platform/errors.ts';
import { createLogger } from '../../src/platform/log.ts';
import { redact, redactText } from '../../src/platform/redact.ts';

const SECRET = 'hunter2hunter2';
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';

describe('redact', () => {
  for (const name of [
    'authorization',
    'Proxy-Authorization',
    'cookie',
    'Set-Cookie',
    'access_token',
    'refreshToken',
    'code_verifier',
    'client_secret',
    'secretKey',
    'sessionKey',
    'keys',
    'X-Authenticated-Assertion',
    'Mcp-Session-Id',
    'password',
  ])
    it(`hides the value of ${name}, at any depth`, () => {
      const text = JSON.stringify(redact({ outer: [{ [name]: SECRET }], [name]: { inner: SECRET } }));
      assert.doesNotMatch(text, /hunter2/);
      assert.match(text, /\[redacted\]/);
    });

  it('leaves what is no secret as it is', () => {
    const record = { path: '/servers/a/mcp', status: 200, none: null, list: ['a', 1, true], host: 'a.example' };
    assert.deepEqual(redact(record), record);
  });

  it('hides credentials inside texts', () => {
    for (const text of [
      `Authorization: Bearer ${SECRET}`,
      `basic ${SECRET}=`,
      `the key pst_a1B2c3D4_${SECRET}${SECRET}`,
      `__Host-postern=${SECRET}; Path=/`,
      `/session/end?id_token_hint=${SECRET}`,
      `token ${JWT} is bad`,
      `GET /a?access_token=${SECRET}&b=1`,
      `https://a.example/callback?code=${SECRET}&state=${SECRET}`,
      `grant_type=password&password=${SECRET}`,
    ]) {
      assert.doesNotMatch(redactText(text), /hunter2|eyJhbGci/, text);
      assert.match(redactText(text), /\[redacted\]/);
    }
    assert.equal(redactText('/a?page=2&b=1'), '/a?page=2&b=1');
  });

  it('ends at cycles', () => {
    const cycle: Record<string, unknown> = { authorization: SECRET };
    cycle.self = cycle;
    assert.doesNotMatch(JSON.stringify(redact(cycle)), /hunter2/);
  });

  it('takes of a cause that is no error only what is wrong, not the claims or the answer', () => {
    const cause = {
      claim: 'exp',
      tolerance: 30,
      claims: { sub: 'alice', exp: 1 },
      payload: { sub: 'alice' },
      body: 'alice',
    };
    for (const given of [cause, [cause], { expected: 'alice', attribute: 'sub', body: { sub: 'alice' } }]) {
      const error = new Error('outer', { cause: new Error('inner', { cause: given }) });
      assert.doesNotMatch(JSON.stringify(redact({ error })), /alice/);
    }
    const kept = redact(new Error('outer', { cause })) as { cause: object };
    assert.deepEqual(kept.cause, { claim: 'exp', tolerance: 30 });
    const long = 'and a text that is so long that only a part of it is quoted';
    for (const text of [
      ...['{"sub":"alice"', 'alice', '{"a":1,"alice":}', ', "alice', '"a" is not valid JSON, alice'],
      ...[`alice ${long}`, `{"a":"${long}","alice":}`, `{"a":"${long}","x":alice,"y":"${long}"}`],
    ]) {
      assert.throws(
        () => JSON.parse(text),
        (thrown) => !/alice/.test(JSON.stringify(redact(thrown))),
        text,
      );
    }
  });

  it('keeps an error’s kind, code and cause, and hides credentials in each', () => {
    const error = Object.assign(new TypeError(`bad ${JWT}`, { cause: new Error(`Bearer ${SECRET}`) }), {
      code: 'E_BAD',
    });
    const copy = redact(error) as { type: string; code: string; message: string };
    assert.equal(copy.type, 'TypeError');
    assert.equal(copy.code, 'E_BAD');
    assert.doesNotMatch(JSON.stringify(copy), /hunter2|eyJhbGci/);
  });
});

describe('log', () => {
  function logged(write: (log: ReturnType<typeof createLogger>) => void): string {
    let text = '';
    const destination = {
      write: (line: string) => {
        text += line;
      },
    };
    write(createLogger('test', 'debug', destination));
    return text;
  }

  it('is one JSON object a line, with level, time, process and message', () => {
    const record = JSON.parse(logged((log) => log.info({ port: 1 }, 'listening')));
    assert.equal(record.level, 'info');
    assert.equal(record.process, 'test');
    assert.equal(record.message, 'listening');
    assert.equal(record.port, 1);
    assert.ok(!Number.isNaN(Date.parse(record.time)));
  });

  for (const [name, write] of [
    ['a field', (log) => log.info({ headers: { authorization: SECRET } }, 'x')],
    ['the message', (log) => log.info(`Bearer ${SECRET}`)],
    ['an argument of the message', (log) => log.info('token %s', `Bearer ${SECRET}`)],
    ['an object in the message', (log) => log.info('headers %o', { cookie: SECRET })],
    ['a bare error', (log) => log.error(new Error(`Bearer ${SECRET}`))],
    ['an error in a field', (log) => log.error({ error: new Error(`Bearer ${SECRET}`) }, 'x')],
    ['the bindings of a child', (log) => log.child({ cookie: SECRET }).info('x')],
  ] as Array<[string, (log: ReturnType<typeof createLogger>) => void]>)
    it(`hides a secret in ${name}`, () => {
      const text = logged(write);
      assert.doesNotMatch(text, /hunter2/);
      assert.match(text, /\[redacted\]/);
    });
});

describe('an error about a service that is away', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.9:6379'), { code: 'ECONNREFUSED' });
  for (const [what, error, reason] of [
    ['that nobody answers at', new DependencyUnavailable('the session store', cause), /no server listens there/],
    ['of which nothing is known', new DependencyUnavailable('the session store'), /the session store does not answer/],
    [
      'within another one',
      new DependencyUnavailable('keys', new DependencyUnavailable('Redis', cause)),
      /ECONNREFUSED/,
    ],
    ['that names a secret', new DependencyUnavailable('Redis', new Error(`Bearer ${SECRET}`)), /\[redacted\]/],
  ] as const)
    it(`is its reason, without a stack: ${what}`, () => {
      const written = redact({ error }) as { error: { reason: string; type: string; code: string } };
      assert.match(written.error.reason, reason);
      assert.deepEqual(Object.keys(written.error), ['type', 'message', 'code', 'reason']);
      assert.doesNotMatch(JSON.stringify(written), /hunter2|\.ts:/);
    });
});

describe('redaction of a text made to be slow', () => {
  it('takes time in proportion to its length', () => {
    // With a quadratic expression this alone would outlast the test's time limit many times over.
    const text = '-eyJ'.repeat(500_000);
    assert.equal(redactText(text), text);
  });
});
