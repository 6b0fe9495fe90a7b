/** One stylesheet for all pages: light and dark, from 320 px on. Contrasts are at least 4.5:1 (WCAG 2.2, 1.4.3). */
export const STYLESHEET = `:root { color-scheme: light dark; --ink: #1b2430; --ground: #f2f4f7; --card: #ffffff; --line: #6b7686; --soft: #d8dde5; --accent: #1746c7; --on-accent: #ffffff; --quiet: #4a5565; --warn: #8a4b00; --warn-ground: #fff6e5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf2; --ground: #12161c; --card: #1c222b; --line: #8b96a8; --soft: #343c49; --accent: #9db8ff; --on-accent: #0d1526; --quiet: #b3bdcc; --warn: #ffc46b; --warn-ground: #2e2618; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; --width: 34rem; }
body.wide { --width: 46rem; }
header { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .25rem 1rem; width: min(100% - 2rem, var(--width)); margin: 0 auto; padding: 1rem 0; }
.brand { display: inline-flex; align-items: center; gap: .6rem; color: var(--ink); font-weight: 600; text-decoration: none; }
.brand img { display: block; height: 1.75rem; max-width: 10rem; }
nav { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; font-size: .875rem; min-width: 0; }
nav .who { color: var(--quiet); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 16rem; }
main { width: min(100% - 2rem, var(--width)); margin: clamp(.5rem, 5vh, 3rem) auto 2rem; padding: clamp(1.25rem, 5vw, 2.25rem); background: var(--card); border: 1px solid var(--soft); border-radius: .75rem; overflow-wrap: anywhere; }
body.wide main { margin-top: .5rem; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1.1rem; }
h3 { margin: 0 0 .15rem; font-size: 1rem; }
p { margin: 0 0 1rem; }
a { color: var(--accent); }
ul { list-style: none; margin: 0 0 1rem; padding: 0; }
li { margin: 0 0 .75rem; }
dl { margin: 0 0 .75rem; }
dt { color: var(--quiet); font-size: .875rem; }
dd { margin: 0 0 .35rem; }
.list { list-style: disc; padding-left: 1.25rem; }
.list li { margin: 0 0 .35rem; }
.answers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 0; }
.answers > * { flex: 1 1 9rem; }
.button, button { display: inline-block; min-height: 2.75rem; padding: .55rem 1.1rem; border: 2px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; }
.secondary, button.secondary { background: transparent; color: var(--accent); }
button.deny { background: transparent; color: var(--ink); border-color: var(--line); }
button.small { min-height: 2.25rem; padding: .25rem .9rem; font-size: .875rem; }
button span[aria-hidden] { margin-right: .5rem; }
.choices .button { display: block; }
.warnings { margin: 1.25rem 0 0; padding: .75rem 1rem; background: var(--warn-ground); border-left: 4px solid var(--warn); border-radius: .35rem; }
.warnings h2 { margin: 0 0 .35rem; font-size: 1rem; color: var(--warn); }
.warnings ul { margin: 0; }
.warnings li:last-child { margin: 0; }
.entry { padding: .75rem 0; margin: 0; border-top: 1px solid var(--soft); }
.row { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; }
.row > :first-child { flex: 1 1 14rem; min-width: 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
.facts dd { margin: 0; min-width: 0; }
.facts dt { padding-top: .1rem; }
details { margin: .35rem 0 0; }
summary { cursor: pointer; color: var(--accent); width: max-content; max-width: 100%; padding: .25rem 0; }
pre { margin: .15rem 0 .6rem; padding: .5rem .75rem; background: var(--ground); border: 1px solid var(--soft); border-radius: .35rem; white-space: pre-wrap; overflow-wrap: anywhere; }
code { font: .875rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
.quiet { color: var(--quiet); font-size: .875rem; }
main > .quiet:last-child { margin: 1.25rem 0 0; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
@media (max-width: 30rem) {
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin: 0 0 .35rem; }
  nav .who { max-width: 7rem; }
}
@media (forced-colors: active) { .button, button { border-color: ButtonText; } }
`;
