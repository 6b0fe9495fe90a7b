import { randomUUID } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import type { ClientFacts } from '../protocol/client-facts.ts';

/** A session of the whole: the client's, and within it one of each server. */
export interface SessionState {
  /** Tells sessions of one client apart. */
  readonly id: string;
  readonly client: ClientFacts;
  /** Where the session of each server is, by server. */
  readonly members: Readonly<Record<string, string>>;
}

const json = z.record(z.string(), z.unknown());
const stored = z.tuple([z.string(), z.string(), json, json, z.record(z.string(), z.string())]);

/** Characters of a session's text; sealed it has a third more, and headers of some proxies end at 4096. */
const MAX_LENGTH = 2_900;
/** Bytes of what is in it. */
const MAX_STATE = 65_536;

export function newSession(client: ClientFacts, members: Readonly<Record<string, string>>): SessionState {
  return { id: randomUUID(), client, members };
}

/**
 * Puts a session into its id, which is sealed before a client sees it: every replica can go on with the servers' sessions,
 * and none has to remember anything. A server whose session has no room in it gets a new one from each replica.
 */
export function sessionId({ id, client, members }: SessionState): string {
  const kept = Object.entries(members).sort(([, a], [, b]) => a.length - b.length);
  for (;;) {
    const { protocolVersion, capabilities, clientInfo } = client;
    const whole = JSON.stringify([id, protocolVersion, capabilities, clientInfo, Object.fromEntries(kept)]);
    const packed = deflateRawSync(whole).toString('base64url');
    if (packed.length <= MAX_LENGTH || kept.length === 0) return packed;
    kept.pop();
  }
}

/** @returns undefined for what is no such id */
export function sessionState(packed: string): SessionState | undefined {
  try {
    const whole = inflateRawSync(Buffer.from(packed, 'base64url'), { maxOutputLength: MAX_STATE }).toString();
    const [id, protocolVersion, capabilities, clientInfo, members] = stored.parse(JSON.parse(whole));
    return { id, client: { protocolVersion, capabilities, clientInfo }, members };
  } catch {
    return undefined;
  }
}
