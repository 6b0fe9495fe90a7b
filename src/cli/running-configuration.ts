import { differences, type Fingerprints, fingerprints } from '../platform/config/fingerprints.ts';
import type { Config } from '../platform/config/schema.ts';
import { isRecord } from '../platform/is-record.ts';
import { reachableAddress } from './operator-client.ts';

/** Milliseconds: a process of this machine answers at once. */
const TIMEOUT = 1_000;

const PROCESSES = { auth: 'forward-auth', relay: 'the relay' } as const;

/**
 * Asks the processes of this machine, as far as they run, which configuration they have read.
 *
 * @returns a sentence for each that has read another one, or waits for a restart
 */
export async function runningDifferences(config: Config): Promise<string[]> {
  const own = fingerprints(config);
  const found = await Promise.all(
    (['auth', 'relay'] as const).map(async (part) => {
      const answer = await ask(`${reachableAddress(config[part].internalListen)}/configz`);
      return answer === undefined ? [] : sentences(PROCESSES[part], answer, own, part === 'auth' ? 'relay.' : 'auth.');
    }),
  );
  return found.flat();
}

interface Answer {
  readonly parts: Fingerprints;
  readonly readAt: string;
  readonly waiting: readonly string[];
}

/** @param foreign prefix of what the process does not run by */
function sentences(name: string, { parts, readAt, waiting }: Answer, own: Fingerprints, foreign: string): string[] {
  const differing = differences(own, parts).filter((part) => !part.startsWith(foreign));
  return [
    ...(differing.length === 0
      ? []
      : [
          `${name}, which runs here, has read another configuration (at ${readAt}): ${differing.join(', ')} ` +
            `${differing.length === 1 ? 'differs' : 'differ'}. Send it SIGHUP; its log says why if it refuses the file. ` +
            'Environment variables that it has and you have not differ too',
        ]),
    ...(waiting.length === 0 ? [] : [`${name} must be restarted for ${waiting.join(', ')}`]),
  ];
}

/** @returns undefined where no process of this version listens */
async function ask(url: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT), redirect: 'error' });
    const body: unknown = await response.json();
    return isRecord(body) && isRecord(body.parts) && Array.isArray(body.waiting)
      ? (body as unknown as Answer)
      : undefined;
  } catch {
    return undefined;
  }
}
