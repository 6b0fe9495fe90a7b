import { ConfigurationError, PosternError } from '../platform/errors.ts';

/** Milliseconds. */
const TIMEOUT = 10_000;

/** What is needed to reach one process: a part of the configuration. */
interface OperatorAccess {
  readonly operatorToken?: readonly string[] | undefined;
  readonly internalListen: { readonly host: string; readonly port: number };
}

/** Names of the processes in messages, by the part of the configuration. */
const PROCESSES = { auth: 'forward-auth', relay: 'the relay' } as const;

/** Where a process of this machine answers that listens there. */
export function reachableAddress({ host, port }: OperatorAccess['internalListen']): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/**
 * Asks the operator API of a running process.
 *
 * @throws ConfigurationError without a token, PosternError with what the process says and the status of its answer
 */
export async function askOperatorApi(
  access: OperatorAccess,
  method: string,
  target: string,
  body?: object,
  part: keyof typeof PROCESSES = 'auth',
): Promise<Record<string, unknown>> {
  const process = PROCESSES[part];
  if (access.operatorToken === undefined)
    throw new ConfigurationError([
      `${part}.operatorToken: needed here and in the running ${process.replace('the ', '')}`,
    ]);
  const base = reachableAddress(access.internalListen);
  let response: Response;
  let answer: Record<string, unknown>;
  try {
    response = await fetch(base + target, {
      method,
      headers: { Authorization: `Bearer ${access.operatorToken[0]}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT),
      redirect: 'error',
    });
    answer = (await response.json()) as Record<string, unknown>;
  } catch (cause) {
    throw new PosternError('operator', `${process} does not answer at ${base}: is it running there?`, {
      expose: true,
      cause,
    });
  }
  if (response.ok) return answer;
  const reason = typeof answer.error_description === 'string' ? answer.error_description : `status ${response.status}`;
  throw new PosternError('operator', `${process} refuses: ${reason}`, { status: response.status, expose: true });
}
