import { DependencyUnavailable } from './errors.ts';
import { failureText } from './failure-reason.ts';

/** Names whose values never reach a log, a page or an error. Compared without case and without separators. */
const SECRET_NAMES =
  /^(authorization|proxyauthorization|cookie|setcookie|xauthenticatedassertion|assertion|clientassertion|accesstoken|refreshtoken|idtoken|idtokenhint|logouttoken|operatortoken|token|code|codeverifier|state|nonce|password|passphrase|.*secret|.*secretkey|sessionkey|.*apikey|privatekey|keys|jwk|jwks|sessionid|mcpsessionid)$/;

/** JWTs, our API keys and session cookies, bearer and basic credentials inside a text. */
const SECRET_TEXT =
  /(?<![\w-])(?:eyJ[\w-]{8,}\.[\w-]*\.[\w-]*|pst_[A-Za-z0-9]+_[\w-]{16,}|__(?:Host|Secure)-[\w-]+=[^;\s"']+)|\b(bearer|basic)\s+[\w+/=.~-]{8,}/gi;

/** Credentials in a query string or a form, where they should never be and sometimes are (RFC 6750 §2.3, RFC 6749 §4.1.2). */
const SECRET_PARAMETER =
  /\b((?:access_token|refresh_token|id_token|id_token_hint|logout_token|token|code|code_verifier|state|nonce|client_secret|client_assertion|password|api_key)=)[^&\s"']+/gi;

const HIDDEN = '[redacted]';
const MAX_DEPTH = 6;

export function redactText(text: string): string {
  return text
    .replace(SECRET_TEXT, (_match, scheme?: string) => (scheme ? `${scheme} ${HIDDEN}` : HIDDEN))
    .replace(SECRET_PARAMETER, `$1${HIDDEN}`);
}

/** A copy of a log record without secrets. Cycles and depth are bounded. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    copy[name] = SECRET_NAMES.test(name.toLowerCase().replace(/[^a-z0-9]/g, '')) ? HIDDEN : redact(item, depth + 1);
  }
  return copy;
}

/** `JSON.parse` quotes what it could not read, whole or a part: `Unexpected token 'a', ..."x":alice,"y"... is not valid JSON`. */
function withoutSource(error: Error, text: string): string {
  const [begin, end] = [text.indexOf(', '), text.lastIndexOf(' is not valid JSON')];
  if (!(error instanceof SyntaxError) || begin === -1 || end < begin) return text;
  return `${text.slice(0, begin)}: this${text.slice(end)}`;
}

function redactError(error: Error, depth: number): unknown {
  // What is away fails many requests, each at another place of the program, which says nothing about the reason.
  if (error instanceof DependencyUnavailable)
    return { type: error.name, message: error.message, code: error.code, reason: redactText(failureText(error)) };
  return {
    type: error.name,
    message: redactText(withoutSource(error, error.message)),
    code: (error as { code?: unknown }).code,
    stack: error.stack === undefined ? undefined : redactText(withoutSource(error, error.stack)),
    cause: causeOf(error.cause, depth + 1),
  };
}

/** jose and oauth4webapi give an object with all claims of a token, or a provider's whole answer, as the cause. */
const SAFE_CAUSE = ['claim', 'attribute', 'reason', 'alg', 'now', 'tolerance'];

function causeOf(cause: unknown, depth: number): unknown {
  if (cause instanceof Error || typeof cause !== 'object' || cause === null) return redact(cause, depth);
  const safe = Object.entries(cause).filter(([name, value]) => SAFE_CAUSE.includes(name) && typeof value !== 'object');
  return safe.length === 0 ? undefined : redact(Object.fromEntries(safe), depth);
}
