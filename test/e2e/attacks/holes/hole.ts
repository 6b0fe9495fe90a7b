import type { Deployment } from '../../../support/deployment.ts';
import type { Edit } from '../gauntlet.ts';
import type { Fields } from '../http2-client.ts';
import type { Said } from '../stub-authorizer.ts';
import type { Seen } from '../witness.ts';

/** What is sent, and what shows that nothing at the proxy stopped it. */
export interface Probe {
  readonly method?: 'GET' | 'POST';
  readonly target?: string;
  readonly lines: readonly string[];
  readonly withToken?: boolean;
  /** Said over HTTP/2, with these fields over those of the rest. */
  readonly http2?: Fields;
  /** In forward-auth's place; for Envoy over gRPC nothing is there. */
  readonly authorizer?: Said;
  /** Look at forward-auth's log as well. */
  readonly logged?: boolean;
  /** Milliseconds. */
  readonly patience?: number;
  readonly passed: (result: Result) => boolean;
}

export interface Result {
  /** Undefined: no answer in the time that a test has. */
  readonly status: number | undefined;
  readonly text: string;
  /** What reached the upstream. */
  readonly seen: readonly Seen[];
  /** What a stub was asked. */
  /** What forward-auth logged. */
  readonly log: string;
  readonly asked: readonly { url?: string | undefined; rawHeaders: readonly string[] }[];
}

/**
 * What still holds.
 *
 * - a number: the relay refuses the very bytes that reached it, with this status
 * - `assertion`: the relay lets it pass as who the signature names, and hands nothing forged on
 * - `forward-auth`: it refuses, and nothing reaches the upstream
 * - `nothing`: only forward-auth's own good behaviour, or nothing at all
 */
export type Still = number | 'assertion' | 'forward-auth' | 'nothing';

export interface Hole {
  readonly proxy: Deployment;
  /** As it stands in the file, shortened. */
  readonly line: string;
  readonly edits: readonly Edit[];
  /** With the line, where that would take too long as it stands. */
  readonly quicker?: readonly Edit[];
  readonly hole: string;
  readonly still: Still;
  readonly stops: string;
  /** Nothing that the attacks of all classes would notice. */
  readonly unnoticed?: true;
  readonly probe: Probe;
}

/** As the files of one proxy list them. */
export type HolesOfOne = ReadonlyArray<Omit<Hole, 'proxy'>>;

export const edit = (file: string, from: string | RegExp, to = ''): Edit => ({ file, from, to });
