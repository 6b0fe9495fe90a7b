import type { StoredRecord } from './stores.ts';

/** Bytes that a store needs for a record beside its value and terms: keys, pointers, and their share of the indexes. */
const OVERHEAD = 512;
const OF_A_TERM = 256;

/** About what a record takes, in memory or in Redis. */
export function recordBytes({ value, indexes }: StoredRecord): number {
  return OVERHEAD + Buffer.byteLength(value) + indexes.length * OF_A_TERM;
}
