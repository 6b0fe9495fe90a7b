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

/** What a process that starts waits for before it says that it is ready. */
export interface StartWait {
  /** Of dependencies: those that must have answered once. */
  readonly for: readonly string[];
  /** Milliseconds after which it is ready without them. */
  readonly atMost: number;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number;
}

/** Without it a roll-out ends replicas that can do everything for new ones that cannot yet. */
const START_WAIT: StartWait = { for: ['store'], atMost: 10_000 };

/**
 * Whether a process can serve something. A dependency that fails takes away what needs it, and no more: a probe that took the whole
 * process out of service would make a total outage of it, because all replicas share their dependencies.
 */
export class Readiness {
  readonly #dependencies: Readonly<Record<string, DependencyCheck>>;
  readonly #serves: (states: DependencyStates) => boolean;
  readonly #now: () => number;
  /** Dependencies that the start still waits for. */
  readonly #awaited: Set<string>;
  readonly #waitEnds: number;
  #draining = false;

  /**
   * @param serves whether anything can be served while dependencies are in these states
   * @param start once it is over, a dependency that fails takes away only what needs it
   */
  constructor(
    dependencies: Readonly<Record<string, DependencyCheck>>,
    serves: (states: DependencyStates) => boolean = () => true,
    start: StartWait = START_WAIT,
  ) {
    this.#dependencies = dependencies;
    this.#serves = serves;
    this.#now = start.now ?? (() => performance.now());
    this.#awaited = new Set(start.for.filter((name) => name in dependencies));
    this.#waitEnds = this.#now() + start.atMost;
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
    const ready = !this.#draining && this.#hasStarted(states) && this.#serves(states) && !(strict && failing);
    return {
      ready,
      status: this.#draining ? 'draining' : ready ? 'ready' : 'not ready',
      dependencies: Object.fromEntries(checks.map(([name]) => [name, states[name] ?? 'ok'])),
    };
  }

  #hasStarted(states: DependencyStates): boolean {
    for (const name of this.#awaited) if (states[name] === undefined) this.#awaited.delete(name);
    if (this.#now() >= this.#waitEnds) this.#awaited.clear();
    return this.#awaited.size === 0;
  }
}

async function stateOf(check: DependencyCheck): Promise<string | undefined> {
  try {
    return await check();
  } catch {
    return 'does not answer';
  }
}
