import { decodeWords } from './field-value.ts';
import { plainPreset } from './plain-headers.ts';
import type { Preset } from './preset.ts';

/**
 * `tailscale serve` on this machine: it removes what clients send of these headers and writes them anew, non-ASCII as
 * encoded words (RFC 2047). Requests of tagged devices and of Funnel have none.
 */
export function tailscale(): Preset {
  return plainPreset({
    user: 'Tailscale-User-Login',
    name: 'Tailscale-User-Name',
    decode: decodeWords,
    userIsEmail: true,
  });
}
