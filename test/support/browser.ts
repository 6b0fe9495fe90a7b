import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { programOrSkip } from './programs.ts';

const ARTIFACTS = fileURLToPath(new URL('../../test-artifacts', import.meta.url));

/** No request leaves the machine, and none goes by another protocol than the proxy under test speaks. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
];

/** One person's browser: its own cookies, and what its pages complained about. */
export interface Person {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Console errors, script errors and violations of the Content-Security-Policy. */
  readonly complaints: string[];
}

/** A real Chromium; each person gets a profile that nobody used before. */
export class TestBrowser {
  readonly #browser: Browser;

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  async person(options: BrowserContextOptions = {}): Promise<Person> {
    const context = await this.#browser.newContext(options);
    context.setDefaultTimeout(15_000);
    const complaints: string[] = [];
    context.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`${message.page()?.url()}: ${message.text()}`);
    });
    context.on('weberror', (error) => complaints.push(`${error.page()?.url()}: ${error.error().message}`));
    return { context, page: await context.newPage(), complaints };
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}

/** A skipped suite where there is no Chromium; in CI a failure. */
export async function browserOrSkip(context: Mocha.Context): Promise<TestBrowser> {
  const program = await programOrSkip(context, 'chromium');
  if (program.kind !== 'binary') throw new Error('Chromium runs from a binary only');
  return new TestBrowser(await chromium.launch({ executablePath: program.path, args: ARGUMENTS, headless: true }));
}

/** Keeps a picture of the whole page in `test-artifacts`, under a name that does not change from run to run. */
export async function screenshot(page: Page, name: string): Promise<void> {
  await mkdir(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), fullPage: true });
}
