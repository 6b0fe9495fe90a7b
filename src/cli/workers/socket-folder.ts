import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PosternError } from '../../platform/errors.ts';

/** Memory that engines and Kubernetes mount into each container, also where its file system is read-only. */
const SHARED_MEMORY = '/dev/shm';

/**
 * Makes a folder for the sockets of workers, which nobody else may read.
 *
 * @param places in which one is tried to be made, in order
 * @throws PosternError where none can be
 */
export async function socketFolder(places: readonly string[] = [tmpdir(), SHARED_MEMORY]): Promise<string> {
  const failures: string[] = [];
  for (const place of places)
    try {
      return await mkdtemp(join(place, 'postern-workers-'));
    } catch (error) {
      failures.push(`${place}: ${(error as NodeJS.ErrnoException).code}`);
    }
  throw new PosternError(
    'listen',
    `no folder for the sockets of the workers can be made (${failures.join(', ')}); set TMPDIR to a folder in which the process may write`,
    { expose: true },
  );
}
