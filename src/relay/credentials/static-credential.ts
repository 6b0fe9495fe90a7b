import type { Secret } from '../../platform/secret-source.ts';
import type { Credential } from './credential.ts';

export type StaticKind =
  | { readonly kind: 'bearer' }
  | { readonly kind: 'basic'; readonly user: string }
  | { readonly kind: 'header'; readonly name: string };

/** One secret for everybody: a bearer token (RFC 6750), a password (RFC 7617), or the value of any header. */
export function staticCredential(kind: StaticKind, secret: Secret): Credential {
  const name = kind.kind === 'header' ? kind.name.toLowerCase() : 'authorization';
  const fields = () => [name, fieldValue(kind, secret.current())];
  return {
    names: [name],
    fields,
    // The file may have been replaced a moment ago.
    renew: async () => (secret.look() ? fields() : undefined),
  };
}

function fieldValue(kind: StaticKind, secret: string): string {
  switch (kind.kind) {
    case 'bearer':
      return `Bearer ${secret}`;
    case 'basic':
      return `Basic ${Buffer.from(`${kind.user}:${secret}`).toString('base64')}`;
    case 'header':
      return secret;
    default:
      return kind satisfies never;
  }
}
