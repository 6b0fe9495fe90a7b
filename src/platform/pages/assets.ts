import { createHash } from 'node:crypto';

/** One stylesheet for all pages: light and dark, from 320 px on. Contrasts are at least 4.5:1 (WCAG 2.2, 1.4.3). */
const STYLESHEET = `:root { color-scheme: light dark; --ink: #1b2430; --ground: #f2f4f7; --card: #ffffff; --line: #6b7686; --accent: #1746c7; --on-accent: #ffffff; --quiet: #4a5565; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf2; --ground: #12161c; --card: #1c222b; --line: #8b96a8; --accent: #9db8ff; --on-accent: #0d1526; --quiet: #b3bdcc; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(100% - 2rem, 34rem); margin: 10vh auto 2rem; padding: clamp(1.25rem, 5vw, 2.25rem); background: var(--card); border: 1px solid var(--line); border-radius: .75rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
a { color: var(--accent); }
ul { list-style: none; margin: 0 0 1rem; padding: 0; }
li { margin: 0 0 .75rem; }
dl { margin: 0 0 .5rem; }
dt { color: var(--quiet); font-size: .875rem; }
dd { margin: 0 0 .25rem; }
h2 { margin: 1.25rem 0 .5rem; font-size: 1.05rem; }
.list { list-style: disc; padding-left: 1.25rem; }
.list li { margin: 0 0 .35rem; }
.answers { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.25rem; }
.answers button { flex: 1 1 9rem; }
.button, button { display: inline-block; min-height: 2.75rem; padding: .55rem 1.1rem; border: 2px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; }
.secondary, button.secondary { background: transparent; color: var(--accent); }
.choices .button { display: block; }
.entry { padding: .75rem 0; border-top: 1px solid var(--line); }
.quiet { color: var(--quiet); font-size: .875rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
`;

/** A gate in a wall, so that a browser asks for no `/favicon.ico`, which some rule would refuse. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#1746c7"/><path d="M9 27V14a7 7 0 0 1 14 0v13M16 7v20" fill="none" stroke="#fff" stroke-width="3"/><circle cx="19.5" cy="18" r="1.6" fill="#fff"/></svg>
`;

export interface Asset {
  readonly type: string;
  readonly body: string;
  readonly etag: string;
  /** Address that changes with the contents. */
  readonly url: string;
}

/** Everything that the pages load, by its path. */
export type Assets = ReadonlyMap<string, Asset>;

/**
 * @param base path below which the process serves them
 * @param stylesheet another one than that of the narrow pages
 * @param scripts by name
 */
export function createAssets(
  base: string,
  { stylesheet = STYLESHEET, scripts = {} }: { stylesheet?: string; scripts?: Readonly<Record<string, string>> } = {},
): Assets {
  return new Map([
    asset(base, 'postern.css', 'text/css', stylesheet),
    asset(base, 'icon.svg', 'image/svg+xml', ICON),
    ...Object.entries(scripts).map(([name, body]) => asset(base, name, 'text/javascript', body)),
  ]);
}

function asset(base: string, name: string, type: string, body: string): [path: string, asset: Asset] {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 16);
  const path = `${base}/${name}`;
  return [path, { type, body, etag: `"${hash}"`, url: `${path}?v=${hash}` }];
}
