import { type GroupClaims, unreadGroups } from '../../identity/group-claims.ts';
import type { Logger } from '../../platform/log.ts';

/** Providers and claims that are remembered as told. */
const MAX_TOLD = 1_000;

/** Tells of claims that hold groups in a form that is not read: people without groups are otherwise a riddle. Each once. */
export class GroupNotices {
  readonly #log: Logger;
  readonly #told = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  look(
    claims: Readonly<Record<string, unknown>>,
    provider: { readonly id: string; readonly claims: GroupClaims },
  ): void {
    const unread = unreadGroups(claims, provider.claims);
    if (unread === undefined) return;
    const { claim, seen } = unread;
    const about = JSON.stringify([provider.id, claim]);
    if (this.#told.has(about) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(about);
    this.#log.warn(
      {
        provider: provider.id,
        claim,
        seen,
        fix: `let claims.groups of the provider "${provider.id}" in auth.providers name the claim that holds the groups themselves, and claims.groupName the member with their name in a list of objects`,
      },
      'a claim of groups is there and no group can be read from it',
    );
  }
}
