import { UNSUPPORTED_VERSION } from './error-codes.ts';
import type { Malformed } from './malformed.ts';

/** `legacy`: sessions and GET streams, up to 2025-11-25. `modern`: stateless, from 2026-07-28. */
export type Era = 'legacy' | 'modern';

/** The revision that came with the stateless era. */
export const FIRST_MODERN = '2026-07-28';
/** Revisions with sessions, newest first. */
export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;
/** All that the relay speaks, newest first. */
export const SUPPORTED_VERSIONS: readonly string[] = [FIRST_MODERN, ...LEGACY_VERSIONS];

/** The revision of a session: the client's own where it is one with sessions (basic/lifecycle, version negotiation). */
export function negotiatedVersion(wanted: unknown): string {
  return LEGACY_VERSIONS.find((version) => version === wanted) ?? LEGACY_VERSIONS[0];
}

/** Revisions are dates, so they compare as text. Absent means a client older than the header (2025-03-26). */
export function eraOf(version: string | undefined): Era | Malformed {
  if (version === undefined) return 'legacy';
  if (/^\d{4}-\d{2}-\d{2}$/.test(version)) return version >= FIRST_MODERN ? 'modern' : 'legacy';
  return {
    status: 400,
    reason: 'protocol_version',
    message: `MCP-Protocol-Version must be a revision of the protocol, such as ${FIRST_MODERN}`,
    code: UNSUPPORTED_VERSION,
    // Older ones are agreed on by `initialize`; this error is of the stateless era.
    data: { supported: [FIRST_MODERN], requested: version },
  };
}

/** The revision of a session, as its requests name it. @param result of `initialize` */
export function sessionVersion({ protocolVersion }: Readonly<Record<string, unknown>>): string | undefined {
  const isVersion = typeof protocolVersion === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(protocolVersion);
  return isVersion ? protocolVersion : undefined;
}
