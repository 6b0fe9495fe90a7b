import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { axeViolations, pageFaults } from './page-faults.ts';

const PICTURES = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));

/** As a phone and a desktop show a page, by day and by night; the end of the picture's name. */
const LOOKS = [
  { name: 'narrow', width: 390, colorScheme: 'light' },
  { name: 'narrow-dark', width: 390, colorScheme: 'dark' },
  { name: 'wide', width: 1280, colorScheme: 'light' },
  { name: 'wide-dark', width: 1280, colorScheme: 'dark' },
] as const;
const HEIGHT = 844;
/** Pixels: what a picture shows below the page's content, and how much of a page at all. */
const MARGIN = 32;
const MAX_HEIGHT = 1_600;
/** From 0 to 1. */
const QUALITY = 0.7;

/**
 * Holds a page against axe-core and our own eyes in every look, in one visit. With `POSTERN_PICTURES` (`npm run pictures`) a picture of
 * each is kept in `docs/pictures`.
 */
export async function assertLooks(page: Page, name: string): Promise<void> {
  for (const look of LOOKS) {
    const { width, colorScheme } = look;
    await page.setViewportSize({ width, height: HEIGHT });
    await page.emulateMedia({ colorScheme });
    if (process.env.POSTERN_PICTURES !== undefined) await keepPicture(page, `${name}-${look.name}`);
    assert.deepEqual(await axeViolations(page), [], `${name}, ${look.name}`);
    // Where things are, and what Tab reaches, is the same by night.
    if (colorScheme === 'light') assert.deepEqual(await pageFaults(page), [], `${name}, ${look.name}`);
  }
}

/** As WebP, a fifth of PNG, which only a canvas of the browser makes. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  // The look before may have left the focus somewhere.
  await page.evaluate('document.activeElement?.blur()');
  const { width = 0 } = page.viewportSize() ?? {};
  const main = await page.locator('main').boundingBox();
  const end = main === null ? HEIGHT : main.y + main.height + MARGIN;
  const clip = { x: 0, y: 0, width, height: Math.min(Math.ceil(end), MAX_HEIGHT) };
  const png = await page.screenshot({ fullPage: true, clip });
  // Beside the page, whose policy would let no picture in.
  const canvas = await page.context().newPage();
  const webp = await canvas.evaluate<string>(`(async () => {
    const image = new Image();
    image.src = 'data:image/png;base64,${png.toString('base64')}';
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', ${QUALITY}).split(',')[1];
  })()`);
  await canvas.close();
  await mkdir(PICTURES, { recursive: true });
  await writeFile(`${PICTURES}${name}.webp`, Buffer.from(webp, 'base64'));
}
