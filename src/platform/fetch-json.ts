import { plainReason } from './failure-reason.ts';

/** Milliseconds. */
const TIMEOUT = 5_000;
const MAX_BYTES = 1024 * 1024;

/**
 * Asks an identity provider, or another service that Postern depends on, for a JSON object: with limits on time and
 * size, and no redirects, so that the configured address is the one that answers.
 *
 * @param form sent by POST where it is given
 * @throws Error where anything is wrong; its message names the address, never the content
 */
export async function fetchJson(
  url: string,
  fetcher: typeof fetch,
  form?: { readonly body: URLSearchParams; readonly headers: Readonly<Record<string, string>> },
): Promise<Record<string, unknown>> {
  const response = await ask(fetcher, url, {
    ...(form === undefined ? {} : { method: 'POST', body: form.body }),
    headers: { Accept: 'application/json', ...form?.headers },
  });
  const value: unknown = parse(await readBody(url, response));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${url} answers no JSON object`);
  return value as Record<string, unknown>;
}

/**
 * The same for a text.
 *
 * @returns undefined where nothing is there: 404, and 403, by which an object store says it
 * @throws Error as {@link fetchJson}
 */
export async function fetchText(url: string, fetcher: typeof fetch): Promise<string | undefined> {
  const response = await ask(fetcher, url);
  if (response.status !== 404 && response.status !== 403) return readBody(url, response);
  await response.body?.cancel();
  return undefined;
}

/** @throws Error with the address and why nobody answered there */
async function ask(fetcher: typeof fetch, url: string, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetcher(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) });
  } catch (cause) {
    throw new Error(`${url}: ${plainReason(cause)}`, { cause });
  }
}

async function readBody(url: string, response: Response): Promise<string> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new Error(`${url} answered more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The parser's own message would quote the content. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
