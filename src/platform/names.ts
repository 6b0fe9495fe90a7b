import { nameGlob } from './name-glob.ts';

/**
 * A name as a careless server may read it: without case, compatibility forms, marks that nobody sees and space around it.
 * Only what refuses compares so; what allows wants the name exactly.
 */
export function looseName(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\p{C}\p{M}\s]/gu, '');
}

/** Globs over names. */
export class Names {
  readonly globs: readonly string[];
  readonly #exact: ReadonlyArray<(name: string) => boolean>;
  readonly #loose: ReadonlyArray<(name: string) => boolean>;

  constructor(globs: readonly string[]) {
    this.globs = globs;
    this.#exact = globs.map(nameGlob);
    this.#loose = globs.map((glob) => nameGlob(looseName(glob)));
  }

  has(name: string): boolean {
    return this.#exact.some((matches) => matches(name));
  }

  /** Whether one of them matches the name, or what a careless server may take it for. */
  hasLike(name: string): boolean {
    if (this.has(name)) return true;
    const loose = looseName(name);
    return this.#loose.some((matches) => matches(loose));
  }

  /** Whether everything that the other ones match is matched here too. A star in a glob is only matched by a star. */
  covers(others: readonly string[]): boolean {
    return others.every((glob) => this.has(glob));
  }
}
