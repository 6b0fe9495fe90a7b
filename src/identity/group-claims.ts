import { claimAt } from './claim-path.ts';

type Claims = Readonly<Record<string, unknown>>;

/** Where groups are, and how a claim holds them. */
export interface GroupClaims {
  /** Claims that hold groups, all of which count. */
  readonly groups: readonly string[];
  /** Between groups in a text; absent: a text is one group. */
  readonly groupsDelimiter?: string | undefined;
  /** Member with the group's name in a list of objects. */
  readonly groupName: string;
}

/** A claim that is there and holds groups in no form that is read. */
export interface UnreadClaim {
  readonly claim: string;
  /** Its form, without its values. */
  readonly seen: string;
}

/** Members of an object that a description names. */
const MAX_NAMED = 5;
/** Characters of such a name. */
const MAX_NAME = 40;

/**
 * The groups of all their claims, each once: a text, a list of texts, a list of objects by the name in them, or an object whose members
 * are the groups (Zitadel's roles), where each is an object itself or `true`.
 */
export function readGroups(claims: Claims, names: GroupClaims): string[] {
  const found = names.groups.flatMap((claim) => groupsIn(claimAt(claims, claim), names) ?? []);
  return found.length < 2 ? found : [...new Set(found)];
}

/** @returns the first claim that is there, not empty, and yields no group */
export function unreadGroups(claims: Claims, names: GroupClaims): UnreadClaim | undefined {
  for (const claim of names.groups) {
    const value = claimAt(claims, claim);
    if (isEmpty(value) || (groupsIn(value, names)?.length ?? 0) > 0 || isNoneOfFlags(value)) continue;
    return { claim, seen: formOf(value) };
  }
  return undefined;
}

/** @returns undefined where the form is none of those that are read */
function groupsIn(value: unknown, { groupsDelimiter: delimiter, groupName }: GroupClaims): string[] | undefined {
  if (typeof value === 'string') return (delimiter === undefined ? [value] : parts(value, delimiter)).filter(isName);
  if (Array.isArray(value)) return value.map((item) => nameOf(item, groupName)).filter(isName);
  if (typeof value !== 'object' || value === null) return undefined;
  const members = Object.entries(value);
  if (!members.every(([, member]) => isMember(member))) return undefined;
  return members.flatMap(([name, member]) => (member !== false && name !== '' ? [name] : []));
}

function parts(text: string, delimiter: string): string[] {
  return text.split(delimiter).map((part) => part.trim());
}

function nameOf(item: unknown, groupName: string): unknown {
  return typeof item === 'object' && item !== null ? claimAt(item as Claims, groupName) : item;
}

/** A list or a text would be a claim of its own: then the operator means one further in. */
function isMember(value: unknown): boolean {
  return typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value));
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value === 'string') return value.trim() === '';
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Says of each group that the person is not in it. */
function isNoneOfFlags(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((member) => member === false)
  );
}

function formOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${[...new Set(value.map(formOf))].slice(0, MAX_NAMED).join(' and ')}`;
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : `a ${typeof value}`;
  const names = Object.keys(value).map((name) => name.slice(0, MAX_NAME));
  const more = names.length > MAX_NAMED ? ', …' : '';
  return `an object with ${names.slice(0, MAX_NAMED).join(', ')}${more}`;
}
