import { isRecord } from '../is-record.ts';
import { visited } from './visited-keys.ts';

export interface PresentSections {
  /** A copy, in which `enabled` says what is on. */
  readonly input: unknown;
  /** One for each section that was off before this release, and for each `enabled`, which the next one does not read. */
  readonly warnings: readonly string[];
  /** What is on although nothing in it says so. */
  readonly notes: readonly string[];
}

/**
 * Turns the sections on that are there.
 *
 * @param given the file; or the environment, where a variable of a key in a section is no section, but a list as JSON has them
 */
export function turnOnPresent(given: unknown, source: 'file' | 'environment', over?: unknown): PresentSections {
  const input: unknown = structuredClone(given);
  const warnings: string[] = [];
  const notes: string[] = [];
  for (const { holder, name, schema, path } of visited(input)) {
    // `broker:` with nothing after it.
    if (schema.onByPresence && source === 'file') holder[name] ??= {};
    const section = holder[name];
    if (!schema.onByPresence || !isRecord(section) || (source === 'environment' && !path.includes('['))) continue;
    if (saysSo(over, path)) continue;
    if (section.enabled === undefined) {
      const isEmpty = Object.keys(section).length === 0;
      const on = `${path}: is on since its section is there`;
      if (isEmpty) notes.push(on);
      else
        warnings.push(
          `${on}; before this release that needed \`enabled: true\`. Remove the section where that is not meant`,
        );
      section.enabled = true;
    } else if (section.enabled === true)
      warnings.push(
        `${path}.enabled: is not needed, the section turns it on; remove it, because the next release refuses it`,
      );
    else if (section.enabled === false)
      warnings.push(
        `${path}.enabled: keeps it off in this release only; remove the section, because the next one refuses this key`,
      );
  }
  return { input, warnings, notes };
}

/** The other way round, for a file that Postern itself writes: what is on is there, what is off is not. */
export function asPresent(given: object): unknown {
  const input: unknown = structuredClone(given);
  for (const { holder, name, schema } of visited(input)) {
    const section = holder[name];
    if (!schema.onByPresence || !isRecord(section)) continue;
    if (section.enabled === false) delete holder[name];
    delete section.enabled;
  }
  return input;
}

function saysSo(over: unknown, path: string): boolean {
  const section = path.split('.').reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), over);
  return isRecord(section) && section.enabled !== undefined;
}
