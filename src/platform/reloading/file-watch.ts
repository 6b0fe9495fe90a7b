import { statSync } from 'node:fs';

/** Milliseconds between two looks. */
const LOOK = 500;

export interface FileWatch {
  /** Looks at these from now on. Those that it looked at before keep what is known of them. */
  watch(paths: Iterable<string>): void;
  /** What is there now is read for another reason, and is no change any more. */
  passOver(): void;
  close(): void;
}

interface Seen {
  /** As it was told, and as it was at the last look. */
  told: string;
  last: string;
}

/**
 * Tells when one of several files has changed. It looks at what the path leads to now, because a notification follows the old file
 * where an editor puts a new one in its place, and where Kubernetes turns the link `..data` of a ConfigMap or a Secret. A file that is
 * still being written, or gone for a moment, is waited for: two looks must see the same.
 *
 * @param onChange called once for each change, however many writes or files it took
 * @param every milliseconds between two looks
 */
export function watchFiles(paths: Iterable<string>, onChange: () => void, every = LOOK): FileWatch {
  let files = new Map<string, Seen>();
  const watch = (wanted: Iterable<string>) => {
    const next = new Map<string, Seen>();
    for (const path of wanted) {
      const stamp = stampOf(path);
      next.set(path, files.get(path) ?? { told: stamp, last: stamp });
    }
    files = next;
  };
  watch(paths);
  const look = () => {
    const stamps = [...files].map(([path, seen]) => ({ seen, now: stampOf(path) }));
    // Files that change together are taken together.
    const settled = stamps.every(({ seen, now }) => now === seen.last);
    const changed = stamps.some(({ seen, now }) => now !== seen.told);
    for (const { seen, now } of stamps) {
      seen.last = now;
      if (settled) seen.told = now;
    }
    if (settled && changed) onChange();
  };
  const timer = setInterval(look, every);
  timer.unref();
  const passOver = () => {
    for (const [path, seen] of files) seen.told = seen.last = stampOf(path);
  };
  return { watch, passOver, close: () => clearInterval(timer) };
}

/** In nanoseconds: two writes of one size can fall into the same millisecond. */
function stampOf(path: string): string {
  try {
    const { mtimeNs, size, ino, dev } = statSync(path, { bigint: true });
    return `${mtimeNs} ${size} ${ino} ${dev}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}
