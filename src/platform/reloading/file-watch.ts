import { statSync } from 'node:fs';

/** Milliseconds between two looks. */
const LOOK = 500;

/**
 * Tells when a file has changed. It looks at what the path leads to now, because a notification follows the old file where
 * an editor puts a new one in its place, and where Kubernetes turns the link `..data` of a ConfigMap. A file that is still
 * being written, or gone for a moment, is waited for: two looks must see the same.
 *
 * @param onChange called once for each change, however many writes it took
 * @param every milliseconds between two looks
 */
export function watchFile(path: string, onChange: () => void, every = LOOK): { close(): void } {
  let told = stampOf(path);
  let last = told;
  const timer = setInterval(() => {
    const now = stampOf(path);
    if (now === last && now !== told) {
      told = now;
      onChange();
    }
    last = now;
  }, every);
  timer.unref();
  return { close: () => clearInterval(timer) };
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
