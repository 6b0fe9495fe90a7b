import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type AuthorizerEvent, createAuthorizer } from '../../deploy/aws-api-gateway/authorizer.ts';
import { ask, ECHO, endAll, relay, upstream } from '../relay/support/relay.ts';
import { jwks, type KeyServer, keyServer, makeKeys, seconds, signToken } from '../relay/trust/presets/token-signer.ts';
import { pythonOrSkip } from '../support/python.ts';

const FOLDER = fileURLToPath(new URL('../../deploy/aws-api-gateway/', import.meta.url));
const ARN = 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/live/POST/servers/one/mcp';
const SECRET = 'the secret that gateway and relay share';
const ISSUER = 'https://idp.example.com';
const AUDIENCE = 'https://mcp.example.com';

/** Asks with one event after the other. `error` is what the function threw. */
type Ask = (events: readonly AuthorizerEvent[]) => Promise<Array<{ result?: Result; error?: string }>>;
interface Result {
  readonly isAuthorized?: boolean;
  readonly context?: Readonly<Record<string, string>>;
  readonly principalId?: string;
  readonly policyDocument?: { readonly Statement: ReadonlyArray<{ Effect: string; Resource: string }> };
}

const DRIVER = `
import json, sys
sys.path.insert(0, sys.argv[1])
import authorizer
answers = []
for event in json.load(sys.stdin):
    try:
        answers.append({"result": authorizer.lambda_handler(event, None)})
    except Exception as error:
        answers.append({"error": str(error)})
print(json.dumps(answers))
`;

function inPython(python: string, url: string): Ask {
  return (events) =>
    new Promise((resolve, reject) => {
      const env = { ISSUER, AUDIENCE, JWKS_URL: url, PYTHONDONTWRITEBYTECODE: '1' };
      const child = execFile(python, ['-c', DRIVER, FOLDER], { env, timeout: 60_000 }, (error, stdout) =>
        error === null ? resolve(JSON.parse(stdout)) : reject(error),
      );
      child.stdin?.end(JSON.stringify(events));
    });
}

function inTypeScript(url: string): Ask {
  const authorize = createAuthorizer({ issuer: ISSUER, audience: AUDIENCE, jwksUrl: url });
  return (events) =>
    Promise.all(
      events.map((event) =>
        authorize(event).then(
          (result) => ({ result: result as Result }),
          (error: Error) => ({ error: error.message }),
        ),
      ),
    );
}

/** The same request as each kind of API hands it to an authorizer. */
const FORMATS: Readonly<Record<string, (authorization: string) => AuthorizerEvent>> = {
  'REST, TOKEN': (authorizationToken) => ({ type: 'TOKEN', authorizationToken, methodArn: ARN }),
  'REST, REQUEST': (authorization) => ({
    type: 'REQUEST',
    methodArn: ARN,
    headers: { Authorization: authorization },
    multiValueHeaders: { Authorization: [authorization] },
  }),
  'HTTP, 2.0': (authorization) => ({ version: '2.0', type: 'REQUEST', headers: { authorization } }),
  'HTTP, 1.0': (authorization) => ({ version: '1.0', type: 'REQUEST', methodArn: ARN, headers: { authorization } }),
};

const keys = makeKeys('RS256');
/** Made when they are asked for: this file is read long before its tests run. */
const claims = () => ({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'alice',
  email: 'alice@example.com',
  groups: ['dev', 'a,b', 'ops', 'dév'],
  exp: seconds(300),
});
const genuine = (more: object = {}) => `Bearer ${signToken(keys, { ...claims(), ...more })}`;

for (const language of ['TypeScript', 'Python'] as const)
  describe(`the Lambda authorizer of deploy/aws-api-gateway in ${language}`, () => {
    let server: KeyServer;
    let asked: Ask;

    before(async function () {
      this.timeout(330_000);
      server = await keyServer(() => jwks(keys));
      asked =
        language === 'TypeScript'
          ? inTypeScript(server.url)
          : inPython(await pythonOrSkip(this, 'aws-authorizer', ['PyJWT[crypto]==2.15.1']), server.url);
    });
    after(endAll);

    it('says who it is in every format, in nothing but texts', async function () {
      this.timeout(70_000);
      const answers = await asked(Object.values(FORMATS).map((make) => make(genuine())));
      for (const [index, format] of Object.keys(FORMATS).entries()) {
        const { result } = answers[index] ?? assert.fail();
        assert.deepEqual(
          result?.context,
          { authenticatedUser: 'alice', authenticatedEmail: 'alice@example.com', authenticatedGroups: 'dev,ops' },
          `${format}: ${JSON.stringify(answers[index])}`,
        );
        if (format === 'HTTP, 2.0') assert.equal(result?.isAuthorized, true);
        else {
          assert.equal(result?.principalId, 'alice');
          const [statement] = result?.policyDocument?.Statement ?? [];
          assert.equal(statement?.Effect, 'Allow');
          assert.equal(statement?.Resource, 'arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/live/*');
        }
      }
    });

    it('lets nobody in by a forgery, nor by two tokens', async function () {
      this.timeout(70_000);
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const forgeries = [
        '',
        'Basic YWxpY2U6YWxpY2U=',
        'Bearer no.jwt.atall',
        `${genuine()}, ${genuine()}`,
        genuine({ iss: 'https://idp.example.org' }),
        genuine({ aud: 'another' }),
        genuine({ exp: seconds(-600) }),
        genuine({ exp: undefined }),
        genuine({ sub: undefined }),
        genuine({ sub: 'alice\r\nX-Authenticated-Groups: admin' }),
        genuine({ sub: 'alice,admin' }),
        `Bearer ${signToken(makeKeys('RS256'), claims())}`,
        `Bearer ${signToken({ ...makeKeys('RS256'), kid: keys.kid }, claims())}`,
        `Bearer ${part({ alg: 'none', kid: keys.kid })}.${part(claims())}.`,
      ];
      for (const [format, make] of Object.entries(FORMATS)) {
        const answers = await asked(forgeries.map(make));
        for (const [index, { result, error }] of answers.entries()) {
          const said = `${format}, forgery ${index}: ${JSON.stringify({ result, error })}`;
          assert.equal(result?.context, undefined, said);
          if (format.startsWith('REST')) assert.equal(error, 'Unauthorized', said);
          else if (format === 'HTTP, 2.0') assert.equal(result?.isAuthorized, false, said);
          else assert.equal(result?.policyDocument?.Statement[0]?.Effect, 'Deny', said);
        }
      }
      const doubled = [genuine(), genuine({ sub: 'bob' })];
      const [twice] = await asked([
        {
          type: 'REQUEST',
          methodArn: ARN,
          headers: { Authorization: genuine() },
          multiValueHeaders: { Authorization: doubled },
        },
      ]);
      assert.equal(twice?.error, 'Unauthorized');
    });

    it('fails, and does not refuse, while the keys cannot be had', async function () {
      this.timeout(70_000);
      const away = await keyServer(() => undefined);
      const ask = language === 'TypeScript' ? inTypeScript(away.url) : undefined;
      if (ask === undefined) {
        server.answer = () => undefined;
        const answers = await asked(Object.values(FORMATS).map((make) => make(genuine())));
        server.answer = () => jwks(keys);
        for (const { result, error } of answers)
          assert.ok(result === undefined && error !== 'Unauthorized', String(error));
        return;
      }
      for (const { result, error } of await ask(Object.values(FORMATS).map((make) => make(genuine()))))
        assert.ok(result === undefined && error !== 'Unauthorized', String(error));
    });
  });

/** What the integration of a template makes of the client's headers, by the rules of its kind of API. */
type Mapping = (context: Readonly<Record<string, string>>) => ReadonlyArray<readonly [header: string, value: string]>;

function template(file: string): { Resources: Record<string, { Type: string; Properties: Record<string, unknown> }> } {
  return parse(readFileSync(`${FOLDER}${file}`, 'utf8'));
}

function propertiesOf(file: string, resource: string): Record<string, unknown> {
  return template(file).Resources[resource]?.Properties ?? assert.fail(`${file} has no ${resource}`);
}

const MAPPINGS: Readonly<Record<string, Mapping>> = {
  'http-api.yaml': (context) => {
    const { RequestParameters } = propertiesOf('http-api.yaml', 'Integration') as {
      RequestParameters: Record<string, string | { Ref: string }>;
    };
    return Object.entries(RequestParameters).map(([target, source]) => [
      target.replace('overwrite:header.', ''),
      typeof source === 'string'
        ? (context[source.replace('$context.authorizer.', '')] ?? assert.fail(source))
        : SECRET,
    ]);
  },
  'rest-api.yaml': (context) => {
    const { Integration } = propertiesOf('rest-api.yaml', 'Any') as {
      Integration: { RequestParameters: Record<string, string | { 'Fn::Sub': string }> };
    };
    return Object.entries(Integration.RequestParameters)
      .filter(([target]) => target.includes('.header.'))
      .map(([target, source]) => [
        target.replace('integration.request.header.', ''),
        typeof source === 'string'
          ? (context[source.replace('context.authorizer.', '')] ?? assert.fail(source))
          : SECRET,
      ]);
  },
};

describe('the templates of deploy/aws-api-gateway before a real relay', () => {
  afterEach(endAll);

  for (const [file, mapping] of Object.entries(MAPPINGS))
    it(`${file}: the authorizer’s word reaches the relay, and none of the client’s`, async () => {
      const server = await keyServer(() => jwks(keys));
      const [answer] = await inTypeScript(server.url)([FORMATS['HTTP, 2.0']?.(genuine()) ?? {}]);
      const mapped = mapping(answer?.result?.context ?? {});
      const { relay: configured } = parse(readFileSync(`${FOLDER}postern.yaml`, 'utf8')) as {
        relay: { trust: { userHeader: string; headers: Record<string, string> } };
      };
      // The test is on this machine, where the load balancer would be in the file.
      const trust = { ...configured.trust, proxies: ['127.0.0.1'] };
      // Every name that the relay reads is one that the integration overwrites.
      const overwritten = new Set(mapped.map(([header]) => header.toLowerCase()));
      for (const read of [trust.userHeader, ...Object.values(trust.headers)])
        assert.ok(overwritten.has(read.toLowerCase()), read);

      const running = await relay({
        servers: { one: { url: await upstream(ECHO), identityHeaders: true } as { url: string } },
        trust: { ...trust, secret: SECRET },
      });
      const sent = (client: readonly string[]) => [
        ...client.flatMap((text, index) =>
          index % 2 === 0 && !overwritten.has(text.toLowerCase()) ? [text, client[index + 1] as string] : [],
        ),
        ...mapped.flat(),
      ];
      const forged = [
        'X-Authenticated-User',
        'root',
        'x-authenticated-groups',
        'admin',
        'X-Authenticated-Name',
        'Root',
      ];
      const through = await ask(running.port, { headers: sent(forged) });
      assert.equal(through.status, 200, through.text);
      const { headers } = JSON.parse(through.text).result as { headers: Record<string, string> };
      assert.equal(headers['x-authenticated-user'], 'alice');
      assert.equal(headers['x-authenticated-groups'], 'dev,ops');
      assert.notEqual(headers['x-authenticated-name'], 'Root');
      // Past the gateway: everything but the secret can be copied.
      const past = mapped.filter(([header]) => !/secret/i.test(header)).flat();
      assert.equal((await ask(running.port, { headers: past })).status, 401);
    });

  it('have no route without the authorizer', () => {
    for (const file of Object.keys(MAPPINGS)) {
      const open = Object.values(template(file).Resources).filter(
        ({ Type, Properties }) => /::(Route|Method)$/.test(Type) && Properties.AuthorizationType !== 'CUSTOM',
      );
      assert.deepEqual(open, [], file);
    }
  });
});
