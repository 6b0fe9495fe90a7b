import { createHash } from 'node:crypto';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';

/** One stylesheet for all pages: light and dark, from 320 px on. Contrasts are at least 4.5:1 (WCAG 2.2, 1.4.3). */
export const STYLESHEET = `:root { color-scheme: light dark; --ink: #1b2430; --ground: #f2f4f7; --card: #ffffff; --line: #6b7686; --accent: #1746c7; --on-accent: #ffffff; --quiet: #4a5565; }
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
.button, button { display: inline-block; min-height: 2.75rem; padding: .55rem 1.1rem; border: 2px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; }
.choices .button { display: block; }
.entry { padding: .75rem 0; border-top: 1px solid var(--line); }
.quiet { color: var(--quiet); font-size: .875rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
`;

const HASH = createHash('sha256').update(STYLESHEET).digest('hex').slice(0, 16);

export const STYLESHEET_PATH = `${SIGN_IN_PATHS.assets}/postern.css`;
export const STYLESHEET_URL = `${STYLESHEET_PATH}?v=${HASH}`;
export const STYLESHEET_ETAG = `"${HASH}"`;
