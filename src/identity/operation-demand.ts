/** What an MCP message works on, as scopes tell it apart. */
export const DEMANDED_BY = ['method', 'tool', 'prompt', 'resource'] as const;
export type DemandedBy = (typeof DEMANDED_BY)[number];

/** Scopes that an operation needs whose name fits. */
export interface DemandEntry {
  readonly by: DemandedBy;
  /** `*` matches anything. */
  readonly glob: string;
  readonly scopes: readonly string[];
  /** Whether the identity has all of them. */
  readonly held: boolean;
}

/**
 * What must still be asked of a message by whoever reads it, because the request's headers did not show what it does. It
 * is made for one identity and travels in its assertion, so that the rules are known in one place only.
 */
export interface OperationDemand {
  /** Needed, and held, for whatever is done here; a new token needs them again. */
  readonly always: readonly string[];
  readonly entries: readonly DemandEntry[];
  /** Where a client reads how to get a better token (RFC 9728). */
  readonly metadataUrl: string | undefined;
}

/** As it is written into an assertion: short, because every request carries it. */
export type DemandClaim = readonly [
  always: readonly string[],
  entries: ReadonlyArray<readonly [by: DemandedBy, glob: string, scopes: readonly string[], held: 0 | 1]>,
  metadataUrl: string,
];

export function demandClaim({ always, entries, metadataUrl }: OperationDemand): DemandClaim {
  return [
    always,
    entries.map(({ by, glob, scopes, held }) => [by, glob, scopes, held ? 1 : 0] as const),
    metadataUrl ?? '',
  ];
}

/** @returns undefined where it is none: whoever cannot read a demand must not act as if there were none */
export function readDemandClaim(claim: unknown): OperationDemand | undefined {
  if (!Array.isArray(claim) || claim.length !== 3) return undefined;
  const [always, written, metadataUrl] = claim as unknown[];
  if (!isTexts(always) || !Array.isArray(written) || typeof metadataUrl !== 'string') return undefined;
  const entries: DemandEntry[] = [];
  for (const entry of written) {
    if (!Array.isArray(entry) || entry.length !== 4) return undefined;
    const [by, glob, scopes, held] = entry as unknown[];
    const known = DEMANDED_BY.find((name) => name === by);
    if (known === undefined || typeof glob !== 'string' || !isTexts(scopes) || (held !== 0 && held !== 1))
      return undefined;
    entries.push({ by: known, glob, scopes, held: held === 1 });
  }
  return { always, entries, metadataUrl: metadataUrl === '' ? undefined : metadataUrl };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
