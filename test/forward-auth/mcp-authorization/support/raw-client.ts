import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { HttpPerson, type Visited } from '../../../support/http-person.ts';
import { authorizeAs, type BrokerGate } from './broker-gate.ts';

export interface OAuthAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Where a client asks. */
type Place = Pick<BrokerGate, 'issuer' | 'resource'>;

/** A client that says exactly what a test wants it to, by parameters and not by a library. */
export class RawClient {
  readonly #gate: Place;
  readonly id: string;
  readonly redirect: string;
  readonly verifier = randomBytes(32).toString('base64url');
  readonly person = new HttpPerson();

  constructor(gate: Place, id: string, redirect: string) {
    this.#gate = gate;
    this.id = id;
    this.redirect = redirect;
  }

  static async register(gate: Place, redirect: string, more: object = {}): Promise<RawClient> {
    const { status, body } = await register(gate, {
      redirect_uris: [redirect],
      client_name: 'Raw client',
      token_endpoint_auth_method: 'none',
      ...more,
    });
    assert.equal(status, 201, JSON.stringify(body));
    return new RawClient(gate, body.client_id as string, redirect);
  }

  /** @param over parameters in the place of the right ones; a list is sent several times, undefined not at all */
  authorizationUrl(over: Readonly<Record<string, string | readonly string[] | undefined>> = {}): URL {
    const url = new URL('/_postern/oauth/authorize', this.#gate.issuer);
    const right = {
      client_id: this.id,
      redirect_uri: this.redirect,
      response_type: 'code',
      state: 'state-of-the-client',
      scope: 'mcp:use',
      resource: this.#gate.resource('github'),
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries({ ...right, ...over }))
      for (const one of [value ?? []].flat()) url.searchParams.append(name, one);
    return url;
  }

  /** @returns where the browser ended */
  authorize(over: Parameters<RawClient['authorizationUrl']>[0] = {}, user = 'alice'): Promise<Visited> {
    return authorizeAs(this.person, this.authorizationUrl(over), { user });
  }

  async code(over: Parameters<RawClient['authorizationUrl']>[0] = {}, user = 'alice'): Promise<string> {
    const end = await this.authorize(over, user);
    const code = end.url.searchParams.get('code');
    assert.ok(code, `no code at ${end.url.href} (${end.status}): ${end.text}`);
    assert.equal(end.url.searchParams.get('iss'), this.#gate.issuer);
    return code;
  }

  exchange(code: string, over: Readonly<Record<string, string>> = {}): Promise<OAuthAnswer> {
    return this.token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.redirect,
      code_verifier: this.verifier,
      ...over,
    });
  }

  refresh(token: unknown, over: Readonly<Record<string, string>> = {}): Promise<OAuthAnswer> {
    return this.token({ grant_type: 'refresh_token', refresh_token: String(token), ...over });
  }

  token(parameters: Readonly<Record<string, string>>): Promise<OAuthAnswer> {
    return postForm(`${this.#gate.issuer}/_postern/oauth/token`, { client_id: this.id, ...parameters });
  }

  /** Everything up to the tokens. */
  async tokens(over: Parameters<RawClient['authorizationUrl']>[0] = {}, user = 'alice') {
    const { status, body } = await this.exchange(await this.code(over, user));
    assert.equal(status, 200, JSON.stringify(body));
    return body as { access_token: string; refresh_token: string; scope: string; id_token?: string };
  }
}

export async function register(
  gate: Pick<BrokerGate, 'issuer'>,
  metadata: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<OAuthAnswer> {
  return answerOf(
    await fetch(`${gate.issuer}/_postern/oauth/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(metadata),
    }),
  );
}

export async function postForm(
  url: string,
  form: Readonly<Record<string, string>> | URLSearchParams,
  headers: Readonly<Record<string, string>> = {},
): Promise<OAuthAnswer> {
  return answerOf(await fetch(url, { method: 'POST', headers, body: new URLSearchParams(form) }));
}

async function answerOf(response: Response): Promise<OAuthAnswer> {
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}
