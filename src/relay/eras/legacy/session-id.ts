import { randomUUID } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import { isRecord } from '../../../platform/is-record.ts';
import { type ClientFacts, factsOf } from '../../protocol/client-facts.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { negotiatedVersion } from '../../protocol/versions.ts';

/** Tells sessions of the relay's own from those of servers. */
const PREFIX = 'postern-era.';
/** Bytes of what is in one. */
const MAX_STATE = 8_192;
/** Abilities of a client, and what each can be detailed by (2025-11-25, client features). */
const ABILITIES = { roots: [], sampling: ['tools', 'context'], elicitation: ['form', 'url'] } as const;

const json = z.record(z.string(), z.unknown());
const stored = z.tuple([z.string(), z.string(), json, json]);

/** A session that the relay answers for, in front of a server that knows none. */
export interface SessionState {
  /** Tells sessions of one client apart. */
  readonly id: string;
  readonly client: ClientFacts;
}

/** The session that an `initialize` opens. The revision is the client's where it is one with sessions (basic/lifecycle). */
export function openedBy(params: Json): SessionState {
  const version = negotiatedVersion(params.protocolVersion);
  const { clientInfo, capabilities } = factsOf(params, version);
  return { id: randomUUID(), client: { protocolVersion: version, clientInfo, capabilities: abilities(capabilities) } };
}

/**
 * Puts a session into its id, which whoever hands it to a client seals and binds to the client's identity: every replica can go
 * on with it, and none has to remember it.
 */
export function sessionIdOf({ id, client }: SessionState): string {
  const { protocolVersion, capabilities, clientInfo } = client;
  const text = JSON.stringify([id, protocolVersion, capabilities, clientInfo]);
  return PREFIX + deflateRawSync(text).toString('base64url');
}

export function isOwnSession(id: string | undefined): id is string {
  return id?.startsWith(PREFIX) ?? false;
}

/** @returns undefined for what is no such id */
export function sessionOf(id: string): SessionState | undefined {
  try {
    const packed = Buffer.from(id.slice(PREFIX.length), 'base64url');
    const text = inflateRawSync(packed, { maxOutputLength: MAX_STATE }).toString();
    const [name, protocolVersion, capabilities, clientInfo] = stored.parse(JSON.parse(text));
    return { id: name, client: { protocolVersion, capabilities, clientInfo } };
  } catch {
    return undefined;
  }
}

/** What is known of abilities and nothing else, because the id must stay short. */
function abilities(declared: Json): Json {
  return Object.fromEntries(
    Object.entries(ABILITIES).flatMap(([name, details]) => {
      const ability = declared[name];
      if (!isRecord(ability)) return [];
      return [
        [name, Object.fromEntries(details.filter((detail) => isRecord(ability[detail])).map((detail) => [detail, {}]))],
      ];
    }),
  );
}
