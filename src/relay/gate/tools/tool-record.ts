import { digestOf } from '../../../platform/digest.ts';
import { isRecord } from '../../../platform/is-record.ts';
import { withPlainNumbers } from '../../protocol/json.ts';

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
  /** Hash of the definition that an operator rejected last. */
  readonly rejected?: string | undefined;
  readonly rejectedAt?: number | undefined;
}

/** What a server's definition of a tool says of it. */
export function describe(given: Readonly<Record<string, unknown>>): Pick<ToolRecord, 'readOnly' | 'listed'> {
  const definition = withPlainNumbers(given);
  const { annotations } = definition;
  return {
    readOnly: isRecord(annotations) && annotations.readOnlyHint === true,
    listed: hashOf(definition),
  };
}

/** Of a definition that cannot be compared, and so is never the pinned one. */
export const UNREADABLE = '';
/** Levels of nesting. */
const MAX_DEPTH = 64;

function hashOf(definition: unknown): string {
  const text = canonical(definition, 0);
  return text === undefined ? UNREADABLE : digestOf(text);
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
    ...lastRejection(one, other),
  };
}

/** When an operator rejected the definition that is listed; undefined: nobody did, or it was approved after that. */
export function rejectionOf({ listed, rejected, rejectedAt, approved, pinnedAt }: ToolRecord): number | undefined {
  if (rejected !== listed || rejectedAt === undefined) return undefined;
  return approved === true && pinnedAt !== undefined && pinnedAt >= rejectedAt ? undefined : rejectedAt;
}

function lastRejection(one: ToolRecord, other: ToolRecord): Pick<ToolRecord, 'rejected' | 'rejectedAt'> {
  const { rejected, rejectedAt } = (one.rejectedAt ?? 0) >= (other.rejectedAt ?? 0) ? one : other;
  return rejected === undefined ? {} : { rejected, rejectedAt };
}

function decisivePin(one: ToolRecord, other: ToolRecord): ToolRecord {
  if (one.pinned === undefined || other.pinned === undefined) return one.pinned === undefined ? other : one;
  if (one.approved !== other.approved) return one.approved === true ? one : other;
  const oneIsEarlier = (one.pinnedAt ?? 0) <= (other.pinnedAt ?? 0);
  return oneIsEarlier === (one.approved === true) ? other : one;
}

/** The order of keys means nothing and may change with each answer. @returns undefined where it is nested too deep */
function canonical(value: unknown, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return undefined;
  if (Array.isArray(value)) return joined(value, (item) => canonical(item, depth + 1), '[]');
  if (!isRecord(value)) return JSON.stringify(value);
  return joined(
    Object.keys(value).sort(),
    (key) => {
      const text = canonical(value[key], depth + 1);
      return text === undefined ? undefined : `${JSON.stringify(key)}:${text}`;
    },
    '{}',
  );
}

function joined<T>(items: readonly T[], write: (item: T) => string | undefined, ends: string): string | undefined {
  const texts: string[] = [];
  for (const item of items) {
    const text = write(item);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return `${ends[0]}${texts.join(',')}${ends[1]}`;
}
