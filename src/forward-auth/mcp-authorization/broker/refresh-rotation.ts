import type { AdapterPayload } from 'oidc-provider';
import type { RecordAdapter } from './record-adapter.ts';

/**
 * Used tokens of a grant that are remembered, so that one of them that comes again is known as theft. Older ones are refused as
 * unknown. Without a bound a client that refreshes in a loop would drive other people's good tokens out of the store.
 */
const REMEMBERED = 20;
/** Rotations between two times that a grant's older tokens are looked for. */
const PRUNED_EVERY = 10;

/** What a refresh token's record says once the token is used. */
interface Rotated extends AdapterPayload {
  /** The token that took its place. */
  readonly successor?: string;
  /** Unix time in milliseconds at which the successor was first given to the client. */
  readonly answeredAt?: number;
}

export interface RefreshRotationDependencies {
  /** Records of refresh tokens. */
  readonly records: Pick<RecordAdapter, 'find' | 'update' | 'destroy' | 'endOf'>;
  /** Milliseconds. */
  readonly reuseInterval: number;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/**
 * Rotation of refresh tokens (RFC 9700 §4.14.2) that survives bad luck. A token has one successor, whoever asks: processes of one
 * client that share a token store, a client whose answer was lost, and one that tries again after an outage get the same. The
 * successor is written before the token is used up, and the use is noted as answered last, so an outage at any step leaves the
 * token good.
 */
export class RefreshRotation {
  readonly #deps: RefreshRotationDependencies;

  constructor(deps: RefreshRotationDependencies) {
    this.#deps = deps;
  }

  /**
   * Whether a used token that comes again is more than bad luck: its successor reached the client longer ago than the reuse
   * interval. A successor that was used reached somebody, whatever the record says.
   */
  async isTheft(token: string): Promise<boolean> {
    const { records, reuseInterval, now } = this.#deps;
    const record = (await records.find(token)) as Rotated | undefined;
    if (record?.consumed === undefined) return false;
    if (record.successor === undefined) return true;
    const reached = record.answeredAt ?? (await this.#usedAt(record.successor));
    return reached !== undefined && now() >= reached + reuseInterval;
  }

  /**
   * Uses a token up, once for all who bring it at whichever replica.
   *
   * @param create writes a new token and returns it
   * @returns the one successor; undefined where the token ended meanwhile
   */
  async rotate(token: string, create: () => Promise<string>): Promise<string | undefined> {
    const { records, now } = this.#deps;
    const before = (await records.find(token)) as Rotated | undefined;
    if (before?.successor !== undefined) return before.successor;
    const made = await create();
    const after = (await records.update(token, ({ successor, ...rest }: Rotated) => ({
      ...rest,
      consumed: rest.consumed ?? Math.floor(now() / 1_000),
      successor: successor ?? made,
    }))) as Rotated | undefined;
    if (after?.successor !== made) await records.destroy(made);
    else await this.#forgetOlder(after);
    return after?.successor;
  }

  /** The reuse interval begins. Never fails: without the note the token may come again until its successor is used. */
  async answered(token: string): Promise<void> {
    const { records, now } = this.#deps;
    const note = ({ answeredAt = now(), ...rest }: Rotated): Rotated => ({ ...rest, answeredAt });
    await records.update(token, note).catch(() => {});
  }

  /** Never fails: what is left now is found by a later rotation. `rotations` counts the tokens of the grant that came before. */
  async #forgetOlder({ grantId, rotations = 0 }: Rotated): Promise<void> {
    if (grantId === undefined || rotations <= REMEMBERED || rotations % PRUNED_EVERY !== 0) return;
    const isOlder = (payload: AdapterPayload) =>
      payload.consumed !== undefined && (payload.rotations ?? 0) < rotations - REMEMBERED;
    await this.#deps.records.endOf(grantId, isOlder).catch(() => {});
  }

  async #usedAt(token: string): Promise<number | undefined> {
    const record = await this.#deps.records.find(token);
    return typeof record?.consumed === 'number' ? record.consumed * 1_000 : undefined;
  }
}
