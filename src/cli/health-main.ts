import { dispatch } from './dispatch.ts';
import { health } from './health.ts';

/** `postern health` alone: it runs every few seconds, and must not cost what loading all commands does. */
export function main(argv: string[]): Promise<number> {
  return dispatch({ health }, argv);
}
