import { z } from 'zod';
import { USER_NAMES } from '../../identity/user.ts';
import type { AuditSink } from '../../platform/audit/audit-sink.ts';
import { RecentDenials } from '../../platform/audit/recent-denials.ts';

const text = z.string().optional();

/** One thing that happened: a line of the audit log without the arguments of calls. */
export const activityEntry = z
  .object({
    /** Counts up within this process. */
    id: z.int(),
    time: z.iso.datetime(),
    process: z.enum(['forward-auth', 'relay']),
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
    needs: text.meta({ description: 'what the rule asks for' }),
    has: text.meta({ description: 'what the user has of it' }),
    fix: text.meta({ description: 'what to change, and where' }),
    wouldDeny: text,
    durationMs: z.number().optional(),
    requestId: text,
  })
  .meta({ id: 'ActivityEntry', description: 'One line of the audit log, without arguments.' });

export const denialEntry = activityEntry
  .partial({ id: true })
  .extend({ count: z.int().min(1).meta({ description: 'how often the same happened, the last time at `time`' }) })
  .meta({ id: 'DenialEntry', description: 'A denial of either process; `id` is of the relay’s activity only.' });

export type DenialEntry = z.output<typeof denialEntry>;
export type ActivityEntry = z.output<typeof activityEntry>;
export type ActivityListener = (entry: ActivityEntry) => void;

/** Keeps the last lines of this process's audit log, and tells who watches of each. */
export class RecentActivity implements AuditSink {
  readonly name = 'admin';
  readonly lastLine = undefined;
  /** What is kept for operators' eyes alone is no log: they know people by name. */
  readonly names = USER_NAMES;
  /** Apart, because a busy relay would push them out. */
  readonly denials: RecentDenials<ActivityEntry>;
  readonly #max: number;
  readonly #entries: ActivityEntry[] = [];
  readonly #listeners = new Set<ActivityListener>();
  #count = 0;

  constructor(max: number, replica: string) {
    this.#max = max;
    this.denials = new RecentDenials(max, replica);
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
    if (entry.event === 'denial') this.denials.put(entry);
    this.#entries.push(entry);
    if (this.#entries.length > this.#max) this.#entries.shift();
    for (const listener of this.#listeners) listener(entry);
  }
}
