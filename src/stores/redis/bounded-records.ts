import { recordBytes } from '../record-bytes.ts';
import type { RecordStore } from '../stores.ts';
import type { RecordQuota } from './record-quota.ts';

/** Records within their kind's quota. A count that an outage left wrong is right again once the record would have ended. */
export function boundRecords(records: RecordStore, quota: RecordQuota): RecordStore {
  return {
    ...records,
    create: async (entry) => {
      const gone = await quota.reserve(entry.key, recordBytes(entry), entry.expiresAt);
      for (const key of gone) await records.end(key);
      await records.create(entry);
    },
    extend: async (key, expiresAt) => {
      const is = await records.extend(key, expiresAt);
      if (is) await quota.extend(key, expiresAt);
      return is;
    },
    end: async (key) => {
      const was = await records.end(key);
      if (was) await quota.release(key).catch(() => {});
      return was;
    },
  };
}
