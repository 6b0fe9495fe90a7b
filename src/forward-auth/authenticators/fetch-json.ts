/** Milliseconds. */
const TIMEOUT = 5_000;
const MAX_BYTES = 1024 * 1024;

/**
 * Gets a JSON object from an identity provider: with limits on time and size, and no redirects, so that the configured
 * address is the one that answers.
 *
 * @throws Error where anything is wrong; its message names the address, never the content
 */
export async function fetchJson(url: string, fetcher: typeof fetch): Promise<Record<string, unknown>> {
  const response = await fetcher(url, {
    headers: { Accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT),
  });
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
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${url} is no JSON object`);
  return value as Record<string, unknown>;
}
