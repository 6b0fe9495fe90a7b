/** Light and dark, from 320 px on. Contrasts of text are at least 4.5:1 (WCAG 2.2, 1.4.3); no state is told by colour alone. */
export const STYLESHEET = `:root {
  color-scheme: light dark;
  --ink: #17202b; --quiet: #4d5a6b; --ground: #f4f6f9; --card: #fff; --line: #dbe1e9; --edge: #6b7686;
  --accent: #1746c7; --on-accent: #fff; --tint: #e9effc;
  --good: #0b6b3a; --good-tint: #e2f5ea; --bad: #a8201a; --bad-tint: #fdeae8; --warn: #7a4b00; --warn-tint: #fdf1d8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6ebf2; --quiet: #aab6c6; --ground: #10141a; --card: #181e27; --line: #2c3644; --edge: #8b96a8;
    --accent: #9db8ff; --on-accent: #0d1526; --tint: #1e2a44;
    --good: #7fdca6; --good-tint: #12301f; --bad: #ffa9a2; --bad-tint: #3a1715; --warn: #f3c96b; --warn-tint: #362708;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: .9375rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
a { color: var(--accent); }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .25rem; }
.skip { position: absolute; left: -100vw; top: .5rem; padding: .5rem 1rem; background: var(--card); z-index: 1; }
.skip:focus { left: .5rem; }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.5rem; padding: .75rem clamp(1rem, 3vw, 2rem) 0; background: var(--card); border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: .6rem; font-weight: 700; font-size: 1.0625rem; color: var(--ink); text-decoration: none; }
.brand img { width: 1.75rem; height: 1.75rem; }
.who { margin-left: auto; color: var(--quiet); font-size: .875rem; overflow-wrap: anywhere; }
nav { flex: 1 0 100%; min-width: 0; }
.bar > nav { max-width: 100%; }
nav ul { display: flex; flex-wrap: wrap; gap: 0 .25rem; list-style: none; margin: 0 0 0 -.75rem; padding: 0; }
nav a { display: block; padding: .55rem .75rem .5rem; color: var(--quiet); text-decoration: none; border-bottom: 3px solid transparent; }
nav a:hover { color: var(--ink); border-color: var(--line); }
nav a[aria-current] { color: var(--ink); border-color: var(--accent); }
main { max-width: 84rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2rem) 4rem; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .75rem; font-size: 1.0625rem; }
h3 { margin: 0 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: 0 0 .75rem; max-width: 70ch; }
.lead, .quiet { color: var(--quiet); }
.quiet { font-size: .875rem; }
code, pre, .name { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .875em; }
.name, code { overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; margin: 0 0 1rem; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 11rem), 1fr)); margin: 1.25rem 0 0; padding: 0; }
.cards > div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.cards dt { color: var(--quiet); font-size: .8125rem; }
.cards dd { margin: .1rem 0 0; font-size: 1.5rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.cards dd small { display: block; color: var(--quiet); font-size: .8125rem; font-weight: 400; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0; }
.facts dt { color: var(--quiet); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.sheet { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: clip; }
.sheet + p, .sheet + form { margin-top: .75rem; }
h1 + .card, h1 + .sheet, h1 + form { margin-top: 1rem; }
table { width: 100%; border-collapse: collapse; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: .55rem .9rem; text-align: left; vertical-align: top; overflow-wrap: break-word; }
.long, tbody th { overflow-wrap: anywhere; min-width: 9rem; }
.short { white-space: nowrap; }
thead th { color: var(--quiet); font-size: .8125rem; font-weight: 600; border-bottom: 1px solid var(--line); white-space: nowrap; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
.user, .detail { display: block; color: var(--quiet); font-size: .8125rem; font-weight: 400; overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.fresh { animation: fresh 2s; }
@keyframes fresh { from { background: var(--tint); } }
@media (prefers-reduced-motion: reduce) { .fresh { animation: none; } }
.badge { display: inline-block; padding: 0 .5rem; border-radius: 1rem; background: var(--tint); color: var(--accent); font-size: .8125rem; font-weight: 600; white-space: nowrap; }
.badge.good { background: var(--good-tint); color: var(--good); }
.badge.bad { background: var(--bad-tint); color: var(--bad); }
.badge.warn { background: var(--warn-tint); color: var(--warn); }
.badge.none { background: none; color: var(--quiet); padding: 0; font-weight: 400; }
.note { border-left: 4px solid var(--accent); background: var(--tint); padding: .6rem 1rem; border-radius: .25rem; margin: 0 0 1rem; max-width: none; }
.note.warn { border-color: var(--warn); background: var(--warn-tint); }
.note.bad { border-color: var(--bad); background: var(--bad-tint); }
.note.good { border-color: var(--good); background: var(--good-tint); }
.empty { padding: 1.25rem; color: var(--quiet); margin: 0; }
form.filters { display: flex; flex-wrap: wrap; align-items: end; gap: .75rem; margin: 1rem 0; }
form.fields { display: grid; gap: .9rem 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); align-items: end; }
label { display: block; color: var(--quiet); font-size: .8125rem; }
label span { display: block; margin-bottom: .2rem; }
input, select, textarea { width: 100%; min-height: 2.5rem; padding: .4rem .65rem; border: 1px solid var(--edge); border-radius: .4rem; background: var(--card); color: var(--ink); font: inherit; font-size: .9375rem; }
.wide { grid-column: 1 / -1; }
textarea { min-height: 5rem; font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875rem; }
button { min-height: 2.5rem; padding: .4rem 1rem; border: 1px solid var(--accent); border-radius: .4rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer; }
button.plain { background: var(--card); color: var(--accent); }
button.end { background: var(--card); color: var(--bad); border-color: var(--bad); }
button:hover { filter: brightness(1.08); }
form.inline { display: inline-block; margin: 0; }
section.card h2 { margin: 0 0 .25rem; }
.card .note { margin: .5rem 0 1rem; }
.card > :last-child { margin-bottom: 0; }
td form.inline button { min-height: 2rem; padding: .1rem .75rem; font-size: .875rem; }
.live { display: flex; align-items: center; gap: .75rem; }
.live button { min-height: 2rem; padding: .1rem .75rem; font-size: .875rem; }
.diff { margin: .75rem 0; padding: .5rem 0; border: 1px solid var(--line); border-radius: .4rem; background: var(--ground); }
.diff div { padding: 0 .75rem; white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .8125rem; }
.diff .added { background: var(--good-tint); color: var(--good); }
.diff .removed { background: var(--bad-tint); color: var(--bad); }
ol.rules { margin: 0; padding: 0; list-style: none; }
.meter { display: block; width: 7rem; height: .5rem; margin-top: .35rem; border-radius: .25rem; background: var(--line); overflow: hidden; }
footer { max-width: 84rem; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2rem) 2rem; color: var(--quiet); font-size: .8125rem; }
@media (max-width: 46rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tbody tr, tbody th, tbody td { display: block; }
  tbody tr { padding: .65rem 1rem; }
  tbody tr + tr { border-top: 1px solid var(--line); }
  tbody tr + tr > * { border-top: 0; }
  tbody th, tbody td { padding: .1rem 0; }
  .long, tbody th { min-width: 0; }
  .short { white-space: normal; }
  tbody td { display: grid; justify-items: start; grid-template-columns: 3.5rem 1fr; gap: .5rem; }
  tbody td > * { grid-column: 2; }
  tbody td::before { grid-column: 1; content: attr(data-label); color: var(--quiet); font-size: .8125rem; }
  tbody td.short, tbody td.number { display: inline-flex; align-items: baseline; gap: .35rem; margin-right: .65rem; max-width: 100%; font-size: .8125rem; overflow-wrap: anywhere; }
  td[data-label="Time (UTC)"]::before, td[data-label="Event"]::before, td[data-label="Outcome"]::before { content: none; }
  tbody td.blank { display: none; }
  .number { text-align: left; }
  .who { margin-left: 0; flex-basis: 100%; }
  nav a { padding: .45rem .6rem .4rem; }
  .cards { grid-template-columns: 1fr 1fr; gap: .6rem; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .4rem; }
}
`;
