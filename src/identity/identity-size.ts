import type { Identity } from './identity.ts';

const sizes = new WeakMap<Identity, number>();

/** Bytes of all that is known of one person, with a separator after each group and scope, as headers carry it. */
export function identitySize(identity: Identity): number {
  let size = sizes.get(identity);
  if (size === undefined) {
    const { subject, username = '', email, name, groups, scopes, issuer } = identity;
    size = [subject, username, email, name, issuer].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    for (const text of [...groups, ...scopes]) size += Buffer.byteLength(text) + 1;
    sizes.set(identity, size);
  }
  return size;
}

/** For people and logs: how much of what is too much, without naming any of it. */
export function identityExcess(identity: Identity, limit: number): string {
  return `the provider names ${identity.groups.length} groups of this account, which is ${identitySize(identity)} bytes with its name; auth.limits.maxIdentity allows ${limit}`;
}
