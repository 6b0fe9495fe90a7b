import { plainReason } from '../../platform/failure-reason.ts';
import { isRecord } from '../../platform/is-record.ts';

/** Milliseconds. */
const TIMEOUT = 5_000;
const MAX_TEXT = 1024 * 1024;

/** What an address answers, with the server's clock. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Milliseconds by which the server's clock is ahead of ours; undefined: it sends no `Date`. RFC 9110 §6.6.1: whole seconds. */
  readonly ahead: number | undefined;
}

/** Nobody answered. The message is the reason in words. */
export class NoAnswer extends Error {}

/** One request without redirects. @throws NoAnswer */
export async function exchange(fetcher: typeof fetch, url: string, init: RequestInit = {}): Promise<Answer> {
  const sentAt = Date.now();
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    const response = await fetcher(url, { redirect: 'manual', signal, ...init });
    const middle = (sentAt + Date.now()) / 2;
    const date = Date.parse(response.headers.get('date') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      text: await textOf(response),
      ahead: Number.isNaN(date) ? undefined : date + 500 - middle,
    };
  } catch (error) {
    throw new NoAnswer(plainReason(error), { cause: error });
  }
}

/** Of a stream that goes on, its first event. */
async function textOf(response: Response): Promise<string> {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_TEXT || (isStream && /\r?\n\r?\n/.test(text))) break;
  }
  return text;
}

/** The JSON object in an answer, or in the first event of a stream; undefined where there is none. */
export function jsonOf({ text }: Answer): Record<string, unknown> | undefined {
  return objectIn(/^data: ?(\{.*)$/m.exec(text)?.[1] ?? text);
}

/** @returns undefined if the text is no JSON object */
export function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
