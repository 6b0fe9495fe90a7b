import { fromHeaders, IDENTITY_HEADER_NAMES, IDENTITY_HEADERS } from '../../../identity/headers.ts';
import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { ABSENT, type Preset } from './preset.ts';

const USER = IDENTITY_HEADERS.user.toLowerCase();

/** Postern's own forward-auth; `userHeader` where a proxy in between renames that one. */
export function postern({ userHeader = IDENTITY_HEADERS.user }: TrustConfig): Preset {
  const user = userHeader.toLowerCase();
  return {
    userHeader,
    names: [...IDENTITY_HEADER_NAMES, userHeader],
    read: (get) => {
      const identity = fromHeaders((name) => get(name === USER ? user : name));
      return identity.subject === '' ? ABSENT : { kind: 'read', identity };
    },
  };
}
