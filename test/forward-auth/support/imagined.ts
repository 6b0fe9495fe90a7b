import type { Authenticate } from '../../../src/forward-auth/decision/authentication.ts';
import { type CheckRequest, RequestHeaders } from '../../../src/forward-auth/decision/request.ts';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { Rules } from '../../../src/forward-auth/decision/rules.ts';
import type { Identity } from '../../../src/identity/identity.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import type { ProviderConfig } from '../../../src/platform/config/schema.ts';

/** A parsed request as an adapter would hand it on. */
export function imagineRequest(
  path: string,
  { headers = [], ...rest }: Partial<Omit<CheckRequest, 'headers'>> & { headers?: readonly string[] } = {},
): CheckRequest {
  return {
    proxy: 'traefik',
    method: 'GET',
    scheme: 'https',
    host: 'mcp.example.com',
    rawPath: path,
    path,
    query: '',
    clientAddress: '203.0.113.7',
    ...rest,
    headers: new RequestHeaders(headers),
  };
}

/** The same with what an authenticator is asked beside it: the resource, where every path is of one, and any issuer. */
export function imagineAsked(...of: Parameters<typeof imagineRequest>): Parameters<Authenticate> {
  const request = imagineRequest(...of);
  return [
    request,
    new Resources('https://mcp.example.com', []).of(request),
    { issuers: undefined, sessionOnly: false },
  ];
}

export function imagineIdentity(given: Partial<Identity> = {}): Identity {
  return { subject: 'alice', email: '', name: '', groups: [], scopes: [], method: 'bearer', issuer: '', ...given };
}

/** Rules through the real schema, so that defaults are the real ones. */
export function compileRules(rules: readonly object[], scopeHierarchy: Record<string, readonly string[]> = {}): Rules {
  return new Rules(parseConfig({ auth: { rules, scopeHierarchy } }).auth);
}

/** @param servers names of MCP servers that there are */
export function imagineProvider(given: object = {}, servers: readonly string[] = []): ProviderConfig {
  const { providers } = parseConfig({
    relay: { servers: Object.fromEntries(servers.map((name) => [name, { url: 'http://127.0.0.1:1/mcp' }])) },
    auth: { providers: [{ id: 'corp', issuer: 'https://idp.example.com', ...given }] },
  }).auth;
  return providers[0] as ProviderConfig;
}
