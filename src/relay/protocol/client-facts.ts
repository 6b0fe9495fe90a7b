import { isRecord } from '../../platform/is-record.ts';
import type { Json } from './json-rpc.ts';
import { CAPABILITIES_KEY, CLIENT_INFO_KEY, metaOf, VERSION_KEY } from './meta.ts';
import { FIRST_MODERN } from './versions.ts';

/** What a client says of itself: in `initialize`, or with each request since 2026-07-28. */
export interface ClientFacts {
  readonly protocolVersion: string;
  readonly capabilities: Json;
  readonly clientInfo: Json;
}

/** Characters of a name, and of extensions as JSON. */
const MAX_NAME = 100;
const MAX_EXTENSIONS = 500;

/** A client may say anything of itself, icons as data URIs included; a server needs to know this. */
export function factsOf({ capabilities, clientInfo }: Json, protocolVersion: string): ClientFacts {
  const { name, version, title } = isRecord(clientInfo) ? clientInfo : {};
  const { roots, sampling, elicitation, extensions } = isRecord(capabilities) ? capabilities : {};
  return {
    protocolVersion,
    clientInfo: {
      name: nameOf(name) ?? 'unknown',
      version: nameOf(version) ?? '0',
      ...(nameOf(title) && { title: nameOf(title) }),
    },
    capabilities: {
      ...(isRecord(roots) && { roots }),
      ...(isRecord(sampling) && { sampling }),
      ...(isRecord(elicitation) && { elicitation }),
      ...(isRecord(extensions) && JSON.stringify(extensions).length < MAX_EXTENSIONS && { extensions }),
    },
  };
}

/** What a stateless request says of its client. */
export function modernFacts(params: Json): ClientFacts {
  const meta = metaOf(params);
  const version = meta[VERSION_KEY];
  return factsOf(
    { capabilities: meta[CAPABILITIES_KEY], clientInfo: meta[CLIENT_INFO_KEY] },
    typeof version === 'string' ? version : FIRST_MODERN,
  );
}

function nameOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_NAME) : undefined;
}
