import { step } from './current-span.ts';
import type { Attributes, Tracing } from './span.ts';

/**
 * A span for each request that is made while another is answered (OpenTelemetry's conventions for HTTP clients). Who is
 * asked does not hear of the trace: these are other people's services, such as identity providers.
 */
export function tracedFetch(fetcher: typeof fetch, tracing: Tracing | undefined): typeof fetch {
  if (tracing === undefined) return fetcher;
  return (input, init) => {
    const asked = input instanceof Request ? input : { url: String(input), method: init?.method ?? 'GET' };
    return step(
      tracing,
      asked.method,
      () => ({ kind: 'client', attributes: attributesOf(asked) }),
      async (span) => {
        const response = await fetcher(input, init);
        span?.set({ 'http.response.status_code': response.status });
        if (response.status >= 400) span?.failed(String(response.status));
        return response;
      },
    );
  };
}

/** Never the query, which may hold a secret. */
function attributesOf({ url, method }: { readonly url: string; readonly method: string }): Attributes {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined) return { 'http.request.method': method };
  const { origin, pathname, hostname, port, protocol } = parsed;
  return {
    'http.request.method': method,
    'server.address': hostname,
    'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
    'url.full': origin + pathname,
  };
}
