import { isDeepStrictEqual } from 'node:util';
import { fileFingerprint, fingerprints } from '../config/fingerprints.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ConfigurationError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ProcessMetrics } from '../metrics.ts';

export interface ReloadingOptions {
  readonly process: 'forward-auth' | 'relay';
  readonly metrics: Pick<ProcessMetrics, 'reloads' | 'lastReload'>;
  readonly log: Logger;
  /** What the process started with. */
  readonly started: Config;
  /** Of which file it was read; absent: of none. */
  readonly file?: string | undefined;
  /** Paths of the keys that are read at the start only. */
  readonly atStart: readonly string[];
  /** Takes a configuration as a whole, or rejects and leaves everything as it was. */
  readonly apply: (config: Config) => Promise<void>;
}

/** Of keys that a reload cannot apply. */
export const NEEDS_RESTART = 'these keys are read at the start only: restart for their new values';

/** Of a configuration that was refused. */
export const KEPT = 'the changed configuration cannot be used; the one before goes on';

/** Reads the configuration. @throws ConfigurationError */
export type ReadConfig = () => Pick<LoadedConfig, 'config' | 'warnings'> & {
  /** Called once the process runs by it. */
  readonly onApplied?: () => void;
};

/** Replaces the configuration of a running process, one at a time. */
export class Reloading {
  readonly #options: ReloadingOptions;
  #running: Promise<void> = Promise.resolve();
  #read: { readonly config: Config; readonly at: number; readonly waiting: readonly string[] };
  #report: object | undefined;

  constructor(options: ReloadingOptions) {
    this.#options = options;
    const { process, metrics, started } = options;
    this.#read = { config: started, at: Date.now(), waiting: [] };
    metrics.lastReload.set(Date.now() / 1000);
    for (const outcome of ['applied', 'rejected']) metrics.reloads.inc({ process, outcome }, 0);
  }

  /** Never rejects: whatever is wrong, the configuration before goes on, and the log says why. */
  reload(read: ReadConfig): Promise<void> {
    this.#running = this.#running.then(() => this.#reload(read));
    return this.#running;
  }

  /** What the process has read last and could use. Values cannot be told from it. */
  report(): object {
    const { config, at, waiting } = this.#read;
    const file = fileFingerprint(this.#options.file);
    this.#report ??= { readAt: new Date(at).toISOString(), file, waiting, parts: fingerprints(config) };
    return this.#report;
  }

  async #reload(read: ReadConfig): Promise<void> {
    const { process, metrics, log, apply } = this.#options;
    try {
      const { config, warnings, onApplied } = read();
      for (const warning of warnings) log.warn(warning);
      await apply(config);
      onApplied?.();
      metrics.reloads.inc({ process, outcome: 'applied' });
      metrics.lastReload.set(Date.now() / 1000);
      log.info('the configuration was read again');
      this.#read = { config, at: Date.now(), waiting: this.#whatWaits(config) };
      this.#report = undefined;
    } catch (error) {
      metrics.reloads.inc({ process, outcome: 'rejected' });
      const why = error instanceof ConfigurationError ? { problems: error.problems } : { error };
      log.error(why, KEPT);
    }
  }

  #whatWaits(config: Config): readonly string[] {
    const { started, atStart, log } = this.#options;
    const paths = atStart.filter((path) => !isDeepStrictEqual(valueAt(started, path), valueAt(config, path)));
    if (paths.length > 0) log.warn({ paths }, NEEDS_RESTART);
    return paths;
  }
}

function valueAt(config: Config, path: string): unknown {
  let at: unknown = config;
  for (const part of path.split('.')) at = (at as Readonly<Record<string, unknown>> | undefined)?.[part];
  return at;
}
