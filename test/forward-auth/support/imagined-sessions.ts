import type { EndReason, RefreshTokens, SessionTokens, SignedIn } from '../../../src/forward-auth/sessions/session.ts';
import { SessionService } from '../../../src/forward-auth/sessions/session-service.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { openSealing } from '../../../src/platform/sealing/sealing-keys.ts';
import { imagineIdentity } from './imagined.ts';
import { SharedStores } from './shared-stores.ts';

export const ISSUER = 'https://idp.example.com';
export const HOST = 'mcp.example.com';
export const BROWSER = { userAgent: 'Test/1', address: '203.0.113.7', host: HOST };
export const START = Date.UTC(2026, 0, 1);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export function signedIn(
  given: { subject?: string; groups?: string[]; tokens?: Partial<SessionTokens>; issuer?: string } = {},
): SignedIn {
  const { subject = 'alice', groups = ['engineering'], issuer = ISSUER, tokens = {} } = given;
  return {
    identity: imagineIdentity({ subject, groups, issuer, method: 'session' }),
    provider: 'corp',
    providerSession: `sid-${subject}`,
    tokens: { accessToken: 'access-1', ...tokens },
  };
}

/** Several processes on one store, with one clock. */
export function imagineReplicas(
  options: {
    sessions?: object;
    refreshTokens?: RefreshTokens;
    endOf?: (signedIn: SignedIn) => EndReason | undefined;
    count?: number;
  } = {},
) {
  const config = parseConfig({ auth: { sessions: options.sessions ?? {} } }).auth.sessions;
  const stores = new SharedStores();
  let written = '';
  const log = createLogger('auth', 'debug', {
    write: (line: string) => {
      written += line;
    },
  });
  const sealing = openSealing(
    { keys: Buffer.alloc(32, 7).toString('base64url') },
    { log, shared: false, keysAt: 'auth.sessions.keys', what: 'sessions' },
  );
  const clock = { now: START };
  const events: string[] = [];
  const replicas = Array.from({ length: options.count ?? 1 }, () => {
    const view = stores.view();
    const service = new SessionService(config, {
      stores: view,
      sealing,
      log,
      now: () => clock.now,
      onEvent: (event) => events.push(event),
      ...(options.endOf === undefined ? {} : { endOf: options.endOf }),
      ...(options.refreshTokens === undefined ? {} : { refreshTokens: options.refreshTokens }),
    });
    return { service, view };
  });
  const [first] = replicas as [(typeof replicas)[number]];
  return { stores, clock, events, replicas, log: () => written, sealing, service: first.service, view: first.view };
}

/** A `Cookie` header of the first cookie that was set. */
export function cookieOf(setCookies: readonly string[]): string {
  return (setCookies[0] as string).split(';')[0] as string;
}
