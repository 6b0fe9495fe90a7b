/** Answers undefined where the dependency answers, otherwise what is wrong in a few words. */
export type DependencyCheck = () => Promise<string | undefined> | string | undefined;

/** What is wrong with each dependency; undefined: nothing. */
export type DependencyStates = Readonly<Record<string, string | undefined>>;

export interface ReadinessReport {
  readonly ready: boolean;
  readonly status: 'ready' | 'not ready' | 'draining';
  /** `ok`, or what is wrong in a few words. */
  readonly dependencies: Readonly<Record<string, string>>;
}

/**
 * Whether a process can serve something. A dependency that fails takes away what needs it, and no more: a probe that took the whole
 * process out of service would make a total outage of it, because all replicas share their dependencies.
 */
export class Readiness {
  readonly #dependencies: Readonly<Record<string, DependencyCheck>>;
  readonly #serves: (states: DependencyStates) => boolean;
  #draining = false;

  /** @param serves whether anything can be served while dependencies are in these states */
  constructor(
    dependencies: Readonly<Record<string, DependencyCheck>>,
    serves: (states: DependencyStates) => boolean = () => true,
  ) {
    this.#dependencies = dependencies;
    this.#serves = serves;
  }

  /** From now on it is not ready: whoever routes to it is to stop. */
  drain(): void {
    this.#draining = true;
  }

  /** @param strict every dependency must answer */
  async report(strict: boolean): Promise<ReadinessReport> {
    const checks = Object.entries(this.#dependencies);
    const states = Object.fromEntries(
      await Promise.all(checks.map(async ([name, check]) => [name, await stateOf(check)] as const)),
    );
    const failing = Object.values(states).some((state) => state !== undefined);
    const ready = !this.#draining && this.#serves(states) && !(strict && failing);
    return {
      ready,
      status: this.#draining ? 'draining' : ready ? 'ready' : 'not ready',
      dependencies: Object.fromEntries(checks.map(([name]) => [name, states[name] ?? 'ok'])),
    };
  }
}

async function stateOf(check: DependencyCheck): Promise<string | undefined> {
  try {
    return await check();
  } catch {
    return 'does not answer';
  }
}
