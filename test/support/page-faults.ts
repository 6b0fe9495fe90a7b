import { readFileSync } from 'node:fs';
import axe from 'axe-core';
import type { Page } from 'playwright-core';

/** WCAG 2.2 §1.4.3, for text of any size. */
const CONTRAST = 4.5;

const IN_PAGE = readFileSync(new URL('./page-faults.page.js', import.meta.url), 'utf8');

/**
 * What a person who cannot see, or sees badly, or has no mouse would stumble over: no language, title, heading or landmark,
 * a control without a name, text that is too pale, a page that must be scrolled sideways, a control that Tab does not reach.
 */
export async function pageFaults(page: Page): Promise<string[]> {
  return [...(await run<string[]>(page, `look(${CONTRAST})`)), ...(await unreachable(page))];
}

/** Presses Tab as often as there are controls, and looks where the focus goes and whether one sees it. */
async function unreachable(page: Page): Promise<string[]> {
  const controls = await run<string[]>(page, 'mark()');
  const reached = new Set<number>();
  const faults: string[] = [];
  // One more, because the first press may go to the document itself.
  for (let press = 0; press <= controls.length; press++) {
    await page.keyboard.press('Tab');
    const focus = await run<{ index: number; seen: boolean } | undefined>(page, 'focus()');
    if (focus === undefined || reached.has(focus.index)) continue;
    reached.add(focus.index);
    if (!focus.seen) faults.push(`focus not seen: ${controls[focus.index]}`);
  }
  for (const [index, control] of controls.entries())
    if (!reached.has(index)) faults.push(`Tab does not reach: ${control}`);
  return faults;
}

/** As text, because a compiled function would look for the compiler's own names in the page. */
function run<T>(page: Page, call: string): Promise<T> {
  return page.evaluate<T>(`${IN_PAGE.replace(/;\s*$/, '')}.${call}`);
}

/** By axe-core: WCAG 2.2 A and AA, and best practices. */
export async function axeViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate<Array<{ id: string; nodes: Array<{ html: string }> }>>(
    'axe.run().then((result) => result.violations)',
  );
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}
