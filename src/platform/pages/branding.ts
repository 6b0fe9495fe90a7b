import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf, pathText } from '../config/issue-texts.ts';
import type { PagesConfig } from '../config/pages-schema.ts';
import { ConfigurationError } from '../errors.ts';
import { inkOn, lightened } from './color.ts';
import { Texts, textProblems } from './texts.ts';

/** Whose pages they are, read from the configuration and its files. */
export interface Branding {
  readonly name: string;
  /** Undefined: our own icon. */
  readonly logo: { readonly type: string; readonly body: Buffer } | undefined;
  /** Rules that follow the stylesheet's own. */
  readonly css: string;
  /** Whom to ask; undefined: as the language says. */
  readonly help: string | undefined;
  readonly texts: Texts;
}

/** Bytes. */
const MAX_LOGO = 262_144;
const MAX_TEXTS = 1_048_576;
const TYPES: Readonly<Record<string, string>> = { '.svg': 'image/svg+xml', '.png': 'image/png', '.webp': 'image/webp' };
/** How a file of each type begins, where it is not text. */
const SIGNATURES: Readonly<Record<string, RegExp>> = {
  'image/svg+xml': /<svg[\s>]/i,
  'image/png': /^.PNG\r\n/,
  'image/webp': /^RIFF[\s\S]{4}WEBP/,
};
const textsFile = z.record(z.string(), z.record(z.string(), z.string().min(1).max(2_000)));

/** @throws ConfigurationError where a file cannot be read or used */
export function openBranding({ name, logoPath, colors, help, permissions, textsPath }: PagesConfig): Branding {
  return {
    name,
    help,
    logo: logoPath === undefined ? undefined : readLogo(logoPath),
    css: cssOf(colors),
    texts: new Texts(textsPath === undefined ? {} : readTexts(textsPath), permissions),
  };
}

function cssOf({ light, dark = light && lightened(light) }: PagesConfig['colors']): string {
  const rule = (color: string) => `:root { --accent: ${color}; --on-accent: ${inkOn(color)}; }`;
  return [
    ...(light === undefined ? [] : [rule(light)]),
    ...(dark === undefined ? [] : [`@media (prefers-color-scheme: dark) { ${rule(dark)} }`]),
  ].join('\n');
}

function readLogo(path: string): NonNullable<Branding['logo']> {
  const at = 'auth.pages.logoPath';
  const type = TYPES[extname(path).toLowerCase()];
  if (type === undefined) throw new ConfigurationError([`${at}: must end in ${Object.keys(TYPES).join(', ')}`]);
  const body = read(path, at, MAX_LOGO);
  if (!SIGNATURES[type]?.test(body.toString('latin1')))
    throw new ConfigurationError([
      `${at}: ${path} is not ${type}, as its name says; save the logo as SVG, PNG or WebP`,
    ]);
  return { type, body };
}

function readTexts(path: string): z.output<typeof textsFile> {
  const at = 'auth.pages.textsPath';
  const text = read(path, at, MAX_TEXTS).toString('utf8');
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    throw new ConfigurationError([`${at}: is not YAML`], cause);
  }
  const parsed = textsFile.safeParse(value);
  if (!parsed.success)
    throw new ConfigurationError(
      parsed.error.issues.map((issue) => `${at}: ${pathText(issue.path) || 'the file'}: ${messageOf(issue)}`),
    );
  const problems = textProblems(parsed.data);
  if (problems.length > 0) throw new ConfigurationError(problems.map((problem) => `${at}: ${problem}`));
  return parsed.data;
}

function read(path: string, at: string, max: number): Buffer {
  let body: Buffer;
  try {
    body = readFileSync(path);
  } catch (cause) {
    throw new ConfigurationError([`${at}: ${path} cannot be read`], cause);
  }
  if (body.length === 0 || body.length > max) throw new ConfigurationError([`${at}: must be 1 to ${max} bytes`]);
  return body;
}
