import type { AuthConfig } from '../platform/config/schema.ts';
import { ConfigurationError, PosternError } from '../platform/errors.ts';

/** Milliseconds. */
const TIMEOUT = 10_000;

/**
 * Asks the operator API of the running forward-auth.
 *
 * @throws ConfigurationError without a token, PosternError with what forward-auth says
 */
export async function askOperatorApi(
  auth: AuthConfig,
  method: string,
  target: string,
  body?: object,
): Promise<Record<string, unknown>> {
  if (auth.operatorToken === undefined)
    throw new ConfigurationError(['auth.operatorToken: needed here and in the running forward-auth']);
  const { host, port } = auth.internalListen;
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const base = `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
  let response: Response;
  let answer: Record<string, unknown>;
  try {
    response = await fetch(base + target, {
      method,
      headers: { Authorization: `Bearer ${auth.operatorToken}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT),
      redirect: 'error',
    });
    answer = (await response.json()) as Record<string, unknown>;
  } catch (cause) {
    throw new PosternError('operator', `forward-auth does not answer at ${base}: is it running there?`, {
      expose: true,
      cause,
    });
  }
  if (response.ok) return answer;
  const reason = typeof answer.error_description === 'string' ? answer.error_description : `status ${response.status}`;
  throw new PosternError('operator', `forward-auth refuses: ${reason}`, { expose: true });
}
