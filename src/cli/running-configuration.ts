import { differences, type Fingerprints, fileFingerprint, fingerprints } from '../platform/config/fingerprints.ts';
import type { LoadedConfig } from '../platform/config/load.ts';
import { isRecord } from '../platform/is-record.ts';
import { reachableAddress } from './operator-client.ts';

/** Milliseconds: a process of this machine answers at once. */
const TIMEOUT = 1_000;

const PROCESSES = { auth: 'forward-auth', relay: 'the relay' } as const;

export interface RunningDifferences {
  /** A process has read the same file otherwise, or waits for a restart. */
  readonly warnings: readonly string[];
  /** A process runs by another file: it may be another Postern, such as `postern up`. */
  readonly notes: readonly string[];
}

/** Asks the processes of this machine, as far as they run, which configuration they have read. */
export async function runningDifferences({
  config,
  file,
}: Pick<LoadedConfig, 'config' | 'file'>): Promise<RunningDifferences> {
  const own = { file: fileFingerprint(file), parts: fingerprints(config) };
  const found = await Promise.all(
    (['auth', 'relay'] as const).map(async (part) => {
      const answer = await ask(`${reachableAddress(config[part].internalListen)}/configz`);
      if (answer === undefined) return { warnings: [], notes: [] };
      return compared(PROCESSES[part], answer, own, part === 'auth' ? 'relay.' : 'auth.');
    }),
  );
  return { warnings: found.flatMap(({ warnings }) => warnings), notes: found.flatMap(({ notes }) => notes) };
}

interface Answer {
  readonly file?: string;
  readonly parts: Fingerprints;
  readonly readAt: string;
  readonly waiting: readonly string[];
}

/** @param foreign prefix of what the process does not run by */
function compared(
  name: string,
  { file, parts, readAt, waiting }: Answer,
  own: Pick<Answer, 'parts'> & { readonly file: string | undefined },
  foreign: string,
): RunningDifferences {
  const differing = differences(own.parts, parts).filter((part) => !part.startsWith(foreign));
  const isSame = file === own.file;
  const what = `${differing.join(', ')} ${differing.length === 1 ? 'differs' : 'differ'}`;
  const another = `${name}, which runs here, has read another configuration`;
  const difference = isSame
    ? `${another} (at ${readAt}): ${what}. Send it SIGHUP; its log says why if it refuses the file. ` +
      'Environment variables that it has and you have not differ too'
    : `${another} (of another file, at ${readAt}): ${what}. That is right for another Postern, such as \`postern up\` or one in a container`;
  const found = differing.length === 0 ? [] : [difference];
  if (!isSame) return { warnings: [], notes: found };
  const restart = waiting.length === 0 ? [] : [`${name} must be restarted for ${waiting.join(', ')}`];
  return { warnings: [...found, ...restart], notes: [] };
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
