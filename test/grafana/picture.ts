import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Dashboard, Panel, Unit } from '../../grafana/source/spec.ts';
import { screenshot, type TestBrowser } from '../support/browser.ts';
import { type Line, lineChart } from './line-chart.ts';
import type { Series } from './prometheus.ts';

const PICTURES = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const COLORS = [
  '#5b9bd5',
  '#6cc070',
  '#e0a83c',
  '#d9645a',
  '#a78bda',
  '#4fb3ad',
  '#d187b0',
  '#8f9aa8',
  '#b9c34f',
  '#e08a4f',
];

/**
 * Draws a dashboard from its specification and the data of a run: not Grafana's own picture, but the same panels, queries,
 * units and thresholds. Kept with the test's artefacts, and in `docs/pictures` where `POSTERN_PICTURES` is set.
 */
export async function drawDashboard(
  browser: TestBrowser,
  dashboard: Dashboard,
  query: (expr: string) => Promise<Series[]>,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const sections: string[] = [];
  for (const row of dashboard.rows) {
    const panels: string[] = [];
    for (const panel of row.panels) panels.push(await drawPanel(panel, query, { from, to }));
    sections.push(`<h2>${escaped(row.title)}</h2><div class="row">${panels.join('')}</div>`);
  }
  const { context, page, complaints } = await browser.person({ viewport: { width: 1400, height: 900 } });
  await page.setContent(
    `<!doctype html><style>${STYLE}</style><h1>${escaped(dashboard.title)}</h1><p>${escaped(dashboard.description)}</p>${sections.join('')}`,
  );
  await screenshot(page, dashboard.uid);
  if (process.env.POSTERN_PICTURES !== undefined)
    await writeFile(`${PICTURES}${dashboard.uid}.png`, await page.screenshot({ fullPage: true }));
  await context.close();
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
}

async function drawPanel(
  panel: Panel,
  query: (expr: string) => Promise<Series[]>,
  time: { from: number; to: number },
): Promise<string> {
  const lines: Line[] = [];
  for (const { expr, legend } of panel.queries)
    for (const { labels, points } of await query(expr))
      if (points.length > 0)
        lines.push({
          name: legend.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? ''),
          points,
          color: COLORS[lines.length % COLORS.length] as string,
        });
  if (lines.length === 0) throw new Error(`nothing to draw in ${panel.title}`);
  return `<figure style="grid-column: span ${panel.width}"><figcaption>${escaped(panel.title)}</figcaption>${content(panel, lines, time)}</figure>`;
}

function content(panel: Panel, lines: readonly Line[], time: { from: number; to: number }): string {
  const last = (line: Line) => formatted(line.points.at(-1)?.[1] ?? 0, panel.unit);
  switch (panel.kind) {
    case 'stat':
      return `<div class="stat ${levelOf(panel, lines)}">${last(lines[0] as Line)}</div>`;
    case 'table':
      return `<ul>${lines.map((line) => `<li>${escaped(line.name)}</li>`).join('')}</ul>`;
    case 'timeseries': {
      const chart = lineChart(lines, {
        ...time,
        stacked: panel.stacked === true,
        label: (y) => formatted(y, panel.unit),
      });
      const legend = lines.map(
        (line) => `<li><i style="background:${line.color}"></i>${escaped(line.name)} <b>${last(line)}</b></li>`,
      );
      return `${chart}<ul class="legend">${legend.join('')}</ul>`;
    }
    default:
      return panel.kind satisfies never;
  }
}

/** The colour of the highest threshold that is reached. */
function levelOf({ thresholds = [] }: Panel, lines: readonly Line[]): string {
  const value = lines[0]?.points.at(-1)?.[1] ?? 0;
  return thresholds.filter(({ from }) => from === null || value >= from).at(-1)?.color ?? 'plain';
}

function formatted(value: number, unit: Unit): string {
  const short = (number: number) => String(Number(number.toPrecision(3)));
  switch (unit) {
    case 'percentunit':
      return `${short(value * 100)} %`;
    case 'reqps':
      return `${short(value)} /s`;
    case 's':
      return value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
    case 'dtdurations':
      return value > 86_400 ? `${short(value / 86_400)} d` : `${short(value)} s`;
    case 'bytes':
      return `${short(value / 2 ** 20)} MiB`;
    case 'cores':
      return `${short(value)} cores`;
    case 'short':
      return short(value);
    default:
      return unit satisfies never;
  }
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
  body { margin: 16px; background: #14161a; color: #d5d9e0; font: 13px/1.4 system-ui, sans-serif }
  h1 { font-size: 20px; margin: 0 } h2 { font-size: 14px; margin: 16px 0 6px; color: #9aa3b2 } p { margin: 2px 0 0; color: #9aa3b2 }
  .row { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px }
  figure { margin: 0; padding: 8px 10px; background: #1d2026; border-radius: 4px; min-width: 0 }
  figcaption { font-weight: 600; margin-bottom: 4px }
  .stat { font-size: 30px; font-weight: 600; padding: 14px 0; text-align: center }
  .green { color: #6cc070 } .orange { color: #e0a83c } .red { color: #d9645a }
  svg { width: 100%; display: block } svg text { fill: #8f9aa8; font-size: 10px }
  ul { list-style: none; margin: 4px 0 0; padding: 0 } .legend { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: 11px }
  i { display: inline-block; width: 10px; height: 3px; margin-right: 4px; vertical-align: middle }
`;
