/** When a user was first and last seen in a network, in Unix milliseconds. */
export interface Sighting {
  readonly first: number;
  readonly last: number;
}

/** The networks that one user was seen in. */
export interface NetworkHistory {
  /** When the user was first seen, in Unix milliseconds. */
  readonly since: number;
  readonly networks: Readonly<Record<string, Sighting>>;
}

export interface HistorySettings {
  /** Milliseconds from the user's first request on. */
  readonly learning: number;
  /** Milliseconds. */
  readonly idleLifetime: number;
  /** Milliseconds. */
  readonly within: number;
  /** Networks at once that somebody who is being learnt may be in. */
  readonly maxConcurrent: number;
  /** Networks remembered of one user. */
  readonly maxNetworks: number;
}

export interface HistoryUpdate {
  /** With this sighting, so that a network is new once. */
  readonly history: NetworkHistory;
  /** The network was not in the history before. */
  readonly added: boolean;
  /** Nothing that anybody need know of, a network that is new, or one that is new while the user is elsewhere too. */
  readonly novelty: 'none' | 'new' | 'concurrent';
}

/**
 * What it means that a user is seen in a network.
 *
 * @param before undefined for a user who was never seen
 * @param now Unix time in milliseconds
 */
export function seeIn(
  before: NetworkHistory | undefined,
  network: string,
  now: number,
  settings: HistorySettings,
): HistoryUpdate {
  const recent = Object.entries(before?.networks ?? {}).filter(([, { last }]) => now - last < settings.idleLifetime);
  // Whoever was away for so long begins anew.
  const since = recent.length === 0 ? now : (before?.since ?? now);
  const known = recent.find(([name]) => name === network)?.[1];
  const others = recent
    .filter(([name]) => name !== network)
    .sort(([, a], [, b]) => b.last - a.last)
    .slice(0, settings.maxNetworks - 1);
  const sighting: Sighting = { first: known?.first ?? now, last: Math.max(now, known?.last ?? 0) };
  const history = { since, networks: { [network]: sighting, ...Object.fromEntries(others) } };
  const added = known === undefined;
  if (!added || recent.length === 0) return { history, added, novelty: 'none' };
  const elsewhere = others.filter(([, { last }]) => now - last < settings.within).length;
  if (now - since >= settings.learning) return { history, added, novelty: elsewhere > 0 ? 'concurrent' : 'new' };
  return { history, added, novelty: elsewhere + 1 > settings.maxConcurrent ? 'concurrent' : 'none' };
}

/** What two processes know of one user. */
export function merged(one: NetworkHistory, other: NetworkHistory): NetworkHistory {
  const networks: Record<string, Sighting> = { ...one.networks };
  for (const [name, { first, last }] of Object.entries(other.networks)) {
    const known = networks[name];
    networks[name] = {
      first: Math.min(first, known?.first ?? first),
      last: Math.max(last, known?.last ?? last),
    };
  }
  return { since: Math.min(one.since, other.since), networks };
}
