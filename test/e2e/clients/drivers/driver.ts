import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClientProgram } from '../../../support/client-programs.ts';

/** What a client needs to know before it starts. */
export interface Surroundings {
  /** The MCP endpoint. */
  readonly endpoint: string;
  /** An address at which the client can say who it is (Client ID Metadata Document); undefined: it registers. */
  readonly document: string | undefined;
  /** Port for the page that a person is led back to. */
  readonly callbackPort: number;
  /** Of its own, removed afterwards. */
  readonly folder: string;
  /** A program that signs in at an address, as a person would in a browser. */
  readonly browser: string;
  /** Installed programs, by name. */
  readonly programs: Readonly<Partial<Record<ClientProgram, string>>>;
}

/** A client at work, until it is stopped. */
export interface RunningClient {
  /** Calls a tool, with whatever signing in that takes. @returns the text of its result @throws Error where there is none */
  call(tool: string): Promise<string>;
  stop(): Promise<void>;
}

/** An MCP client as people use it. */
export interface ClientDriver {
  readonly name: string;
  readonly needs: readonly ClientProgram[];
  /** Whether it can name itself by a document, and whether it asks for more where a scope is missing. */
  readonly can: { readonly document: boolean; readonly stepUp: boolean };
  start(surroundings: Surroundings): Promise<RunningClient>;
}

/** A folder with the browser program in it. */
export async function openFolder(): Promise<{ folder: string; browser: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-client-'));
  const browser = join(folder, 'browser');
  const script = fileURLToPath(new URL('../../../support/visiting-browser.ts', import.meta.url));
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  await writeFile(browser, `#!/bin/sh\ncd '${root}' && exec '${process.execPath}' --import tsx '${script}' "$@"\n`);
  await chmod(browser, 0o700);
  return { folder, browser, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** @returns the text of a tool's result */
export function textOf(result: unknown): string {
  const { content, isError } = result as { content?: Array<{ text?: string }>; isError?: boolean };
  const text = content?.[0]?.text;
  if (text === undefined || isError === true) throw new Error(`no result: ${JSON.stringify(result)}`);
  return text;
}
