import type { UserName } from '../../identity/user.ts';

/** Where audit lines go. */
export interface AuditSink {
  /** Label of metrics. */
  readonly name: 'stdout' | 'file' | 'redis' | 'admin';
  /** The line that the last process left, where it can be known: its chain goes on. */
  readonly lastLine: string | undefined;
  /** Which names of a user its lines have; absent: those that are configured. */
  readonly names?: readonly UserName[];
  /**
   * Writes whole lines, in order. Either all of them are written, or it rejects and none is.
   *
   * @param lines without line ends
   */
  write(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
