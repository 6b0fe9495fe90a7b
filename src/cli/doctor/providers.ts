import { randomBytes } from 'node:crypto';
import { callbackPath } from '../../forward-auth/decision/own-endpoints.ts';
import { readClientSecret } from '../../forward-auth/login/login.ts';
import { authenticateClient } from '../../platform/client-authentication.ts';
import type { Config, ProviderConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import { providerFetch } from '../../platform/provider-fetch.ts';
import { type Answer, exchange, jsonOf, NoAnswer } from './exchange.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

type Metadata = Readonly<Record<string, unknown>>;

/** Each provider's discovery, keys, clock, our client's secret and redirect address. */
export async function providerFindings({ auth, publicUrl }: Config, fetcher: typeof fetch): Promise<Finding[]> {
  const signingIn = auth.providers.filter(({ clientId }) => clientId !== undefined);
  const found = await Promise.all(
    auth.providers.map(async (provider, index) => {
      const at = `auth.providers[${index}]`;
      const fetches = providerFetch(provider, fetcher);
      const needsDiscovery = provider.jwksUri === undefined || provider.clientId !== undefined;
      const discovered = needsDiscovery ? await discover(provider, at, fetches) : { findings: [], metadata: {} };
      const { metadata } = discovered;
      if (metadata === undefined) return discovered.findings;
      const redirect = new URL(publicUrl).origin + callbackPath(provider.id, signingIn.length > 1);
      const later = await Promise.all([
        keys(provider, metadata, at, fetches),
        ...(provider.clientId === undefined
          ? []
          : [
              client({ provider, metadata, at, redirect, index }, fetches),
              redirectAddress({ provider, metadata, at, redirect }, fetcher),
            ]),
      ]);
      return [...discovered.findings, ...later.flat()];
    }),
  );
  return found.flat();
}

async function discover(
  { issuer, discoveryUrl, clockTolerance }: ProviderConfig,
  at: string,
  fetcher: typeof fetch,
): Promise<{ readonly findings: Finding[]; readonly metadata?: Metadata }> {
  const key = discoveryUrl === undefined ? `${at}.issuer` : `${at}.discoveryUrl`;
  const url = discoveryUrl ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const fix = 'the provider must answer there from this machine: correct the address, or what is between';
  const answer = await exchange(fetcher, url).catch(noAnswer);
  if (answer instanceof NoAnswer) return { findings: [fail(key, `${url}: ${answer.message}`, fix)] };
  const metadata = answer.status === 200 ? jsonOf(answer) : undefined;
  if (metadata === undefined) {
    const cause = answer.status === 200 ? 'is not a JSON object' : `answers ${answer.status}`;
    return { findings: [fail(key, `${url} ${cause}`, 'write the issuer as the provider names it, or `discoveryUrl`')] };
  }
  const findings = [clock(answer, `${at}.clockTolerance`, clockTolerance, url)].flat();
  if (metadata.issuer !== issuer) {
    const named = JSON.stringify(metadata.issuer)?.slice(0, 200);
    const cause = `the provider calls itself ${named}, the configuration ${JSON.stringify(issuer)}`;
    return {
      findings: [...findings, fail(`${at}.issuer`, cause, 'write it exactly so, with or without the slash at the end')],
      metadata,
    };
  }
  return { findings: [ok(key, `the discovery document of ${issuer} is there`), ...findings], metadata };
}

function clock({ ahead }: Answer, key: string, tolerance: number, url: string): Finding[] {
  if (ahead === undefined) return [];
  const seconds = Math.round(Math.abs(ahead) / 1_000);
  const side = ahead > 0 ? 'ahead of' : 'behind';
  const cause = `the clock of ${new URL(url).host} is ${seconds} s ${side} this machine's`;
  const fix = 'set both by NTP';
  // A `Date` is rounded to a second.
  if (Math.abs(ahead) > tolerance + 1_000)
    return [fail(key, `${cause}, more than the ${tolerance / 1_000} s allowed`, fix)];
  return [Math.abs(ahead) > tolerance / 2 + 1_000 ? warn(key, cause, fix) : ok(key, cause)];
}

async function keys(
  { jwksUri }: ProviderConfig,
  metadata: Metadata,
  at: string,
  fetcher: typeof fetch,
): Promise<Finding[]> {
  const key = jwksUri === undefined ? `${at}.issuer` : `${at}.jwksUri`;
  const url = jwksUri ?? metadata.jwks_uri;
  if (typeof url !== 'string' || !URL.canParse(url))
    return [fail(key, 'the discovery document names no jwks_uri', 'set `jwksUri`')];
  return keySetFindings(key, url, fetcher);
}

/** Whether a JWK Set (RFC 7517 §5) is there. */
export async function keySetFindings(key: string, url: string, fetcher: typeof fetch): Promise<Finding[]> {
  const fix = 'no token can be verified without the keys: correct the address, or what is between';
  const answer = await exchange(fetcher, url).catch(noAnswer);
  if (answer instanceof NoAnswer) return [fail(key, `${url}: ${answer.message}`, fix)];
  const set = jsonOf(answer)?.keys;
  if (answer.status !== 200) return [fail(key, `${url} answers ${answer.status}`, fix)];
  if (!Array.isArray(set) || set.length === 0) return [fail(key, `${url} holds no keys (a JWK Set)`, fix)];
  return [ok(key, `${set.length} key${set.length === 1 ? '' : 's'} at ${url}`)];
}

interface Client {
  readonly provider: ProviderConfig;
  readonly metadata: Metadata;
  readonly at: string;
  readonly redirect: string;
}

/**
 * A token request with a code that nobody has given: the provider refuses our client (`invalid_client`, RFC 6749 §5.2), or takes
 * it and refuses the code.
 */
async function client(
  { provider, metadata, at, redirect, index }: Client & { readonly index: number },
  fetcher: typeof fetch,
): Promise<Finding[]> {
  const key = `${at}.${provider.clientSecretPath === undefined ? 'clientSecret' : 'clientSecretPath'}`;
  const url = metadata.token_endpoint;
  if (typeof url !== 'string' || !URL.canParse(url))
    return [fail(`${at}.issuer`, 'the discovery document names no token_endpoint', 'no user can sign in there')];
  const secret = await readClientSecret(provider, index).catch((error: unknown) => error);
  if (secret instanceof ConfigurationError) return [];
  const body = new URLSearchParams();
  const headers = { Accept: 'application/json', ...authenticateClient(provider, secret as string | undefined, body) };
  body.set('grant_type', 'authorization_code');
  body.set('code', `postern-doctor-${randomBytes(12).toString('base64url')}`);
  body.set('code_verifier', randomBytes(32).toString('base64url'));
  body.set('redirect_uri', redirect);
  const answer = await exchange(fetcher, url, { method: 'POST', headers, body }).catch(noAnswer);
  const fix = `the provider must know client "${provider.clientId}" with this secret and this clientAuthentication`;
  if (answer instanceof NoAnswer)
    return [fail(`${at}.issuer`, `${url}: ${answer.message}`, 'no user can sign in there')];
  const code = jsonOf(answer)?.error;
  if (code === 'invalid_client' || answer.status === 401)
    return [fail(key, `the provider refuses client "${provider.clientId}" (${code ?? answer.status})`, fix)];
  if (code === 'unauthorized_client')
    return [
      fail(
        `${at}.clientId`,
        `client "${provider.clientId}" may not use authorization codes`,
        'allow it that at the provider',
      ),
    ];
  if (typeof code === 'string' && answer.status < 500)
    return [
      ok(key, `the provider takes client "${provider.clientId}" (and refuses an invented code: ${code.slice(0, 64)})`),
    ];
  return [warn(key, `${url} answers ${answer.status}, which says nothing of the client`, 'sign in once to see')];
}

/** An authorization request that must not show a page (`prompt=none`): who knows the address sends the browser straight back to it. */
async function redirectAddress(
  { provider, metadata, at, redirect }: Client,
  fetcher: typeof fetch,
): Promise<Finding[]> {
  const url = metadata.authorization_endpoint;
  if (typeof url !== 'string' || !URL.canParse(url))
    return [
      fail(`${at}.issuer`, 'the discovery document names no authorization_endpoint', 'no user can sign in there'),
    ];
  const asked = new URL(url);
  const random = () => randomBytes(32).toString('base64url');
  for (const [name, value] of Object.entries({
    ...provider.authorizationParameters,
    response_type: 'code',
    client_id: provider.clientId ?? '',
    redirect_uri: redirect,
    scope: provider.scopes.join(' '),
    state: random(),
    nonce: random(),
    code_challenge: random(),
    code_challenge_method: 'S256',
    prompt: 'none',
  }))
    asked.searchParams.set(name, value);
  const answer = await exchange(fetcher, asked.href, { headers: { Accept: 'text/html' } }).catch(noAnswer);
  const fix = `register ${redirect} at the provider, or correct publicUrl`;
  // It is for browsers, which may reach it from elsewhere.
  if (answer instanceof NoAnswer)
    return [warn(`${at}.issuer`, `${url}: ${answer.message}`, 'browsers must reach it: try it in one')];
  const location = answer.headers.get('location') ?? '';
  const refused = `the provider does not take the redirect address ${redirect} for client "${provider.clientId}"`;
  if (location.startsWith(redirect)) {
    const error = new URL(location).searchParams.get('error');
    if (error === 'invalid_scope' || error === 'unauthorized_client' || error === 'unsupported_response_type')
      return [
        fail(`${at}.scopes`, `the provider refuses the sign-in: ${error}`, 'allow it at the provider, or ask for less'),
      ];
    return [ok('publicUrl', `the provider takes the redirect address ${redirect}`)];
  }
  const says = /redirect[ _-]?uri|AADSTS50011/i.test(answer.text) || /error/i.test(location);
  if (answer.status >= 500) return [warn('publicUrl', `${url} answers ${answer.status}`, 'sign in once to see')];
  if (answer.status >= 400 || says) return [fail('publicUrl', `${refused} (${answer.status})`, fix)];
  return [ok('publicUrl', `the provider shows a page to who comes with the redirect address ${redirect}`)];
}

export function noAnswer(error: unknown): NoAnswer {
  if (error instanceof NoAnswer) return error;
  throw error;
}
