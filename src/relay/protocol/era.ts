import type { Malformed } from './malformed.ts';

/** `legacy`: sessions and GET streams, up to 2025-11-25. `modern`: stateless, from 2026-07-28. */
export type Era = 'legacy' | 'modern';

const FIRST_MODERN = '2026-07-28';

/** Revisions are dates, so they compare as text. Absent means a client older than the header (2025-03-26). */
export function eraOf(version: string | undefined): Era | Malformed {
  if (version === undefined) return 'legacy';
  if (/^\d{4}-\d{2}-\d{2}$/.test(version)) return version >= FIRST_MODERN ? 'modern' : 'legacy';
  return {
    status: 400,
    reason: 'protocol_version',
    message: 'MCP-Protocol-Version must be a revision of the protocol, such as 2026-07-28',
    code: -32022,
    // Older ones are agreed on by `initialize`; this error is of the stateless era.
    data: { supported: [FIRST_MODERN], requested: version },
  };
}
