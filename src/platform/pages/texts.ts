import { closest } from 'fastest-levenshtein';
import { Html, html } from './html.ts';
import { ENGLISH } from './texts/english.ts';
import { FRENCH } from './texts/french.ts';
import { GERMAN } from './texts/german.ts';

export type TextKey = keyof typeof ENGLISH;
/** Every text of the pages in one language. */
export type Catalogue = Readonly<Record<TextKey, string>>;
/** What an operator wrote: any of the texts, and `permission.<scope>` for scopes in words, by language. */
export type OwnTexts = Readonly<Record<string, Readonly<Record<string, string>>>>;
/** What stands for the `{name}`s of a text. */
export type TextValues = Readonly<Record<string, Html | string | number>>;

/** The texts of the pages in the language of one reader. */
export interface Say {
  (key: TextKey, values?: TextValues): Html;
  /** A scope in words; undefined where the operator wrote none. */
  permission(scope: string): string | undefined;
  /** BCP 47 tag. */
  readonly language: string;
}

const BUILT_IN: Readonly<Record<string, Catalogue>> = { en: ENGLISH, de: GERMAN, fr: FRENCH };
const FALLBACK = 'en';
const PERMISSION = 'permission.';

/** The catalogue of all languages: ours, and what the operator added or wrote anew. */
export class Texts {
  readonly #byLanguage: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly #permissions: Readonly<Record<string, string>>;

  /** @param permissions scopes in words, for languages in which `own` has none */
  constructor(own: OwnTexts = {}, permissions: Readonly<Record<string, string>> = {}) {
    const written = Object.fromEntries(Object.entries(own).map(([tag, texts]) => [tag.toLowerCase(), texts]));
    const languages = new Set([...Object.keys(BUILT_IN), ...Object.keys(written)]);
    this.#permissions = permissions;
    this.#byLanguage = new Map(
      [...languages].map((language) => [
        language,
        { ...ENGLISH, ...written[FALLBACK], ...BUILT_IN[language], ...written[language] },
      ]),
    );
  }

  /** @param accepted `Accept-Language` (RFC 9110 §12.5.4) */
  for(accepted: string): Say {
    const language = preferred(accepted, this.#byLanguage) ?? FALLBACK;
    const texts = this.#byLanguage.get(language) as Readonly<Record<string, string>>;
    const own = (scope: string) => (Object.hasOwn(texts, PERMISSION + scope) ? texts[PERMISSION + scope] : undefined);
    const common = (scope: string) => (Object.hasOwn(this.#permissions, scope) ? this.#permissions[scope] : undefined);
    return Object.assign((key: TextKey, values: TextValues = {}) => fill(texts[key] as string, values), {
      language,
      permission: (scope: string) => own(scope) ?? common(scope),
    });
  }
}

/** Characters of `Accept-Language` that are read. */
const MAX_ACCEPTED = 512;

/** The best of the known ones; `de-AT` takes `de`. */
function preferred(accepted: string, known: ReadonlyMap<string, unknown>): string | undefined {
  const ranges = accepted
    .slice(0, MAX_ACCEPTED)
    .toLowerCase()
    .split(',')
    .map((part) => {
      const [range = '', ...parameters] = part.split(';').map((text) => text.trim());
      const weight = parameters.find((text) => text.startsWith('q='))?.slice(2);
      return { range, weight: weight === undefined ? 1 : Number(weight) || 0 };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight);
  for (const { range } of ranges) {
    if (known.has(range)) return range;
    const [primary = ''] = range.split('-', 1);
    if (known.has(primary)) return primary;
  }
  return undefined;
}

const PLACEHOLDER = /\{([a-z]+)\}/;

function fill(text: string, values: TextValues): Html {
  const parts = text.split(PLACEHOLDER);
  // Text and names alternate.
  return new Html(parts.map((part, at) => html`${at % 2 === 0 ? part : (values[part] ?? '')}`.text).join(''));
}

/** @returns what is wrong with the texts of an operator, one line each, starting with the key; empty where nothing is */
export function textProblems(own: OwnTexts): string[] {
  return Object.entries(own).flatMap(([language, texts]) => {
    if (!isLanguage(language)) return [`${language}: is not a language tag such as de or pt-BR`];
    return Object.entries(texts).flatMap(([key, text]) => {
      const at = `${language}.${key}`;
      if (key.startsWith(PERMISSION)) return [];
      if (!Object.hasOwn(ENGLISH, key))
        return [`${at}: there is no such text; did you mean ${closest(key, Object.keys(ENGLISH))}?`];
      const known = placeholders(ENGLISH[key as TextKey]);
      const strange = placeholders(text).find((name) => !known.includes(name));
      return strange === undefined
        ? []
        : [`${at}: {${strange}} has no value here; known: ${known.join(', ') || 'none'}`];
    });
  });
}

function isLanguage(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

function placeholders(text: string): string[] {
  return text.split(PLACEHOLDER).filter((_, at) => at % 2 === 1);
}
