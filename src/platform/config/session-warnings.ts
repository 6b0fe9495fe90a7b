import { isPlainOffLoopback } from '../addresses.ts';
import type { Config } from './schema.ts';

/** What is allowed about sessions, and weaker than it may seem: `check` and the start say it. */
export function sessionWarnings({ publicUrl, auth }: Pick<Config, 'publicUrl' | 'auth'>): string[] {
  const { cookie, sameSite } = auth.sessions;
  const signsIn = auth.providers.some(({ clientId }) => clientId !== undefined);
  const warnings: string[] = [];
  if (signsIn && publicUrl.startsWith('https:') && !/^__(?:Host|Secure)-/.test(cookie))
    warnings.push(
      `auth.sessions.cookie: "${cookie}" has no prefix, so a neighbouring domain or plain HTTP can plant it; name it __Host-… or, with cookieDomains, __Secure-…`,
    );
  if (signsIn && sameSite === 'none')
    warnings.push(
      'auth.sessions.sameSite: with "none" browsers send the session with requests of every site; the applications behind must refuse foreign Origins themselves',
    );
  // The cookie is `Secure` always; browsers keep such a one of plain http at this machine's own addresses only.
  const lost = [publicUrl, ...auth.signIn.origins].filter(isPlainOffLoopback);
  for (const origin of signsIn ? new Set(lost) : [])
    warnings.push(
      `${origin === publicUrl ? 'publicUrl' : 'auth.signIn.origins'}: browsers do not keep the session's cookie at ${origin}, which is plain http and not a loopback address: sign-in never ends there; use https`,
    );
  return warnings;
}
