import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { isRecord } from '../../../platform/is-record.ts';
import { type Claims, readClaims, USUAL_CLAIMS } from '../claims.ts';
import { decodeText } from './field-value.ts';
import { ownNames } from './own-names.ts';
import { ABSENT, type Preset, refused } from './preset.ts';

/**
 * Istio's `RequestAuthentication` after the sidecar has verified a token: `outputClaimToHeaders` writes single claims, and
 * `outputPayloadToHeader` the whole payload as base64url of JSON. Nothing is signed for the relay: the sidecar is the proof.
 */
export function istio(trust: TrustConfig): Preset {
  const { payload } = trust.headers;
  if (payload === undefined) return ownNames(trust, 'X-User-Id');
  return {
    userHeader: payload,
    names: [payload],
    read: (get) => {
      const text = decodeText(get(payload.toLowerCase()));
      if (text === '') return ABSENT;
      const claims = parsePayload(text);
      const identity = claims && readClaims(claims, USUAL_CLAIMS);
      return identity === undefined
        ? refused('identity_malformed', `${payload} is not base64url of a JSON object with a "sub"`)
        : { kind: 'read', identity };
    },
  };
}

function parsePayload(text: string): Claims | undefined {
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
