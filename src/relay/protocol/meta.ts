import { isRecord } from '../../platform/is-record.ts';
import type { ClientFacts } from './client-facts.ts';
import { type Id, isId, type Json } from './json-rpc.ts';
import { FIRST_MODERN } from './versions.ts';

/** Reserved keys of `_meta` begin with this (2026-07-28, basic). */
export const META = 'io.modelcontextprotocol/';
export const VERSION_KEY = `${META}protocolVersion`;
export const CAPABILITIES_KEY = `${META}clientCapabilities`;
export const CLIENT_INFO_KEY = `${META}clientInfo`;

/** @param content parameters or a result @returns empty where there is none */
export function metaOf({ _meta }: Json): Json {
  return isRecord(_meta) ? _meta : {};
}

/** By which whoever is asked may tell how far it is (basic/utilities/progress). @param params of a request; undefined: not at all */
export function progressTokenOf(params: unknown): Id | undefined {
  const { progressToken } = isRecord(params) ? metaOf(params) : {};
  return isId(progressToken) ? progressToken : undefined;
}

/** What a stateless request has to say of its client beside its own parameters. */
export function withEnvelope(params: Json, { capabilities, clientInfo, protocolVersion }: ClientFacts): Json {
  return {
    ...params,
    _meta: {
      [CLIENT_INFO_KEY]: clientInfo,
      [CAPABILITIES_KEY]: capabilities,
      ...metaOf(params),
      [VERSION_KEY]: protocolVersion >= FIRST_MODERN ? protocolVersion : FIRST_MODERN,
    },
  };
}

/** Parameters or a result without what only the stateless era says in `_meta`. */
export function withoutEnvelope(content: Json): Json {
  if (!isRecord(content._meta)) return content;
  const meta = Object.fromEntries(Object.entries(content._meta).filter(([key]) => !key.startsWith(META)));
  const { _meta: _, ...rest } = content;
  return Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
}

/** Says whose result it is (2026-07-28, basic: servers should in each), unless it does. */
export function withServerInfo(result: Json, serverInfo: unknown): Json {
  const key = `${META}serverInfo`;
  const meta = metaOf(result);
  return !isRecord(serverInfo) || key in meta ? result : { ...result, _meta: { ...meta, [key]: serverInfo } };
}
