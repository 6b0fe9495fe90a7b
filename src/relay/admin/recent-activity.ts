import { z } from 'zod';
import type { AuditSink } from '../../platform/audit/audit-sink.ts';

const text = z.string().optional();

/** One thing that happened: a line of the audit log without the arguments of calls. */
export const activityEntry = z
  .object({
    /** Counts up within this process. */
    id: z.int(),
    time: z.iso.datetime(),
    event: z.string(),
    outcome: z.string(),
    user: text.meta({ description: 'issuer and subject: `<issuer>#<subject>`' }),
    username: text,
    email: text,
    name: text,
    credential: text,
    via: text,
    client: text,
    server: text,
    action: text,
    object: text,
    reason: text,
    rule: text,
    wouldDeny: text,
    durationMs: z.number().optional(),
    requestId: text,
  })
  .meta({ id: 'ActivityEntry', description: 'One line of the audit log, without arguments.' });

export type ActivityEntry = z.output<typeof activityEntry>;
export type ActivityListener = (entry: ActivityEntry) => void;

/** Keeps the last lines of this process's audit log, and tells who watches of each. */
export class RecentActivity implements AuditSink {
  readonly name = 'admin';
  readonly lastLine = undefined;
  readonly #max: number;
  readonly #entries: ActivityEntry[] = [];
  readonly #listeners = new Set<ActivityListener>();
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async write(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
      // Each call is shown once, with its outcome.
      if (entry.outcome !== 'admitted') this.#keep(activityEntry.parse({ ...entry, id: ++this.#count }));
    }
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  /** Newest first. */
  list(): readonly ActivityEntry[] {
    return [...this.#entries].reverse();
  }

  /** @returns ends it */
  follow(listener: ActivityListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #keep(entry: ActivityEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > this.#max) this.#entries.shift();
    for (const listener of this.#listeners) listener(entry);
  }
}
