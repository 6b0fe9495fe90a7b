/**
 * Goes on with the part of the configuration before where its settings are the same, or opens one.
 *
 * @param settings everything that the part is made of, also what was read from files; compared as JSON
 */
export type Keep = <T extends object>(name: string, settings: unknown, open: () => T) => T;

/** For a first configuration: every part is opened. */
export const OPEN_EACH: Keep = (_name, _settings, open) => open();

interface Part {
  readonly settings: string;
  readonly part: object;
}

/**
 * What of one configuration can outlive it, such as the caches of an unchanged provider. A part that the next
 * configuration does not keep is closed with its own, where it has a `close`.
 */
export class ReusableParts {
  readonly #parts = new Map<string, Part>();
  /** Empty once this configuration is complete: otherwise each would hold all before it. */
  #before: ReadonlyMap<string, Part>;

  constructor(before?: ReusableParts) {
    this.#before = before === undefined ? new Map() : new Map(before.#parts);
  }

  readonly keep: Keep = (name, settings, open) => {
    const wanted = JSON.stringify(settings) ?? '';
    const known = this.#before.get(name);
    const part = known?.settings === wanted ? (known.part as ReturnType<typeof open>) : open();
    this.#parts.set(name, { settings: wanted, part });
    return part;
  };

  /** Ends everything that `others` does not hold as well. */
  closeAllBut(others?: ReusableParts): void {
    const kept = new Set(others === undefined ? [] : [...others.#parts.values()].map(({ part }) => part));
    for (const { part } of [...this.#parts.values()].toReversed()) if (!kept.has(part)) close(part);
    this.#parts.clear();
  }

  /** Nothing of the configuration before is looked for any more. */
  settle(): void {
    this.#before = new Map();
  }
}

function close(part: object): void {
  if ('close' in part && typeof part.close === 'function') part.close();
}
