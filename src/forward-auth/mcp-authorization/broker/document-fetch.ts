import { readFileSync } from 'node:fs';
import type { Configuration } from 'oidc-provider';
import type { BrokerConfig } from '../../../platform/config/schema.ts';
import { ConfigurationError } from '../../../platform/errors.ts';
import { nestsDeeper } from '../../../platform/json-depth.ts';
import { createSafeFetch, FetchRefused } from '../../../platform/safe-fetch.ts';
import { unreadable } from '../../../platform/unreadable.ts';
import { withoutEmptyMembers } from './present-members.ts';

/** Of arrays and objects within each other; a document with its key set has four. */
const MAX_DEPTH = 8;
/** Milliseconds: a person waits for it. */
const TIMEOUT = 3_000;

/** Of which a `Response` may have none. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

export interface DocumentFetch {
  readonly fetch: NonNullable<Configuration['fetch']>;
  close(): void;
}

/**
 * Fetches what clients name: documents and key sets, as JSON, from public addresses and those hosts that the configuration lets.
 *
 * @param mayFetch asked about each host before it is
 * @throws ConfigurationError where the authorities cannot be read
 */
export function openDocumentFetch(
  { privateHosts, hosts, caPath, maxSize }: BrokerConfig['metadataDocuments'],
  mayFetch: (host: string) => Promise<boolean>,
): DocumentFetch {
  const safeFetch = createSafeFetch({
    allowedOrigins: privateHosts.map((host) => `https://${host}`),
    timeout: TIMEOUT,
    maxBytes: maxSize,
    ...(caPath === undefined ? {} : { ca: readAuthorities(caPath) }),
  });
  return {
    fetch: async (input, options) => {
      const url = new URL(input instanceof Request ? input.url : input);
      if (hosts.length > 0 && !hosts.includes(url.host) && !privateHosts.includes(url.host))
        throw new FetchRefused(`${url.origin} is not asked: it is none of auth.broker.metadataDocuments.hosts`);
      if (!(await mayFetch(url.hostname)))
        throw new FetchRefused(
          `${url.origin} is not asked: too many documents and key sets were, for one client or from one host`,
        );
      const signal = options?.signal;
      const response = await safeFetch(url, {
        headers: { accept: 'application/json' },
        ...(signal == null ? {} : { signal }),
      });
      const type = response.headers.get('content-type') ?? '';
      if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))
        throw new FetchRefused(`${url.origin} answered with no JSON document`);
      const text = await response.text();
      if (nestsDeeper(text, MAX_DEPTH))
        throw new FetchRefused(`${url.origin} answered with JSON that is nested too deep`);
      const { status, headers } = response;
      return new Response(BODILESS.has(status) ? null : withoutEmptyMembers(text), { status, headers });
    },
    close: () => void safeFetch.close(),
  };
}

function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError([`auth.broker.metadataDocuments.caPath: ${unreadable(path, cause)}`], cause);
  }
}
