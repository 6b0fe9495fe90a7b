import { createHash } from 'node:crypto';
import { isRecord } from '../../policy/operation.ts';

/** What is known of one tool of a server. Hashes are of its whole definition, name aside nothing is left out. */
export interface ToolRecord {
  /** `annotations.readOnlyHint` as last listed (server/tools); absent is no. */
  readonly readOnly: boolean;
  /** Hash of the definition as last listed. */
  readonly listed: string;
  /** Unix time in milliseconds. */
  readonly listedAt: number;
  /** Hash of the definition that may be used; undefined: none yet. */
  readonly pinned?: string | undefined;
  readonly pinnedAt?: number | undefined;
  /** An operator said so, and it did not just come first. */
  readonly approved?: boolean | undefined;
}

/** What a server's definition of a tool says of it. */
export function describe(definition: Readonly<Record<string, unknown>>): Pick<ToolRecord, 'readOnly' | 'listed'> {
  const { annotations } = definition;
  return {
    readOnly: isRecord(annotations) && annotations.readOnlyHint === true,
    listed: createHash('sha256').update(canonical(definition)).digest('base64url'),
  };
}

/**
 * What two replicas know, put together. The order in which they do it does not matter: what was listed last counts, and of
 * two pins the latest that an operator approved, or else the first.
 */
export function merged(one: ToolRecord, other: ToolRecord): ToolRecord {
  const [older, newer] = one.listedAt <= other.listedAt ? [one, other] : [other, one];
  const { pinned, pinnedAt, approved } = decisivePin(one, other);
  return {
    readOnly: newer.readOnly,
    listed: newer.listed,
    listedAt: Math.max(older.listedAt, newer.listedAt),
    pinned,
    pinnedAt,
    approved,
  };
}

function decisivePin(one: ToolRecord, other: ToolRecord): ToolRecord {
  if (one.pinned === undefined || other.pinned === undefined) return one.pinned === undefined ? other : one;
  if (one.approved !== other.approved) return one.approved === true ? one : other;
  const oneIsEarlier = (one.pinnedAt ?? 0) <= (other.pinnedAt ?? 0);
  return oneIsEarlier === (one.approved === true) ? other : one;
}

/** The order of keys means nothing and may change with each answer. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}
