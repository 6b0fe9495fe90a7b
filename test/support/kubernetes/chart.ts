import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../istio/manifests.ts';
import { pythonOrSkip } from '../python.ts';

const CHART = fileURLToPath(new URL('../../../deploy/kubernetes/chart', import.meta.url));
const SCRIPT = fileURLToPath(new URL('./chart.py', import.meta.url));
/** Helm 4's own engine, as a wheel. */
const PACKAGES = ['helm-python-sdk==0.2.2'];

export interface Rendered {
  readonly manifests: readonly Manifest[];
  readonly notes: string;
}

/** @param release its name; absent: `gate` */
export type Chart = (values: object, release?: string) => Promise<Rendered | { readonly refused: string }>;

/** `helm template` for the chart of `deploy/kubernetes`, in namespace `postern`. */
export async function chartOrSkip(context: Mocha.Context): Promise<Chart> {
  const ask = startRenderer(await pythonOrSkip(context, 'helm', PACKAGES));
  return async (values, release = 'gate') => {
    const { refused, files = {} } = await ask({ chart: CHART, values, release });
    if (refused !== undefined) return { refused };
    const manifests = Object.entries(files).flatMap(([name, text]) =>
      name.endsWith('NOTES.txt') ? [] : readManifestsOf(text),
    );
    const notes = Object.entries(files).find(([name]) => name.endsWith('NOTES.txt'))?.[1] ?? '';
    return { manifests, notes };
  };
}

/** Reads as Kubernetes does, where `0440` is octal. @throws Error where a document is no YAML */
export function readManifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text, { strict: true, version: '1.1' }).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

/** One Python for all questions, in their order: its start takes longer than an answer. */
function startRenderer(python: string): (question: object) => Promise<Answer> {
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  // It ends with this process, and does not keep it.
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) (pipe as unknown as Socket).unref();
  return async (question) => {
    child.stdin.write(`${JSON.stringify(question)}\n`);
    const { value } = await lines.next();
    if (value === undefined) throw new Error('the renderer of the chart has ended');
    return JSON.parse(value) as Answer;
  };
}

interface Answer {
  readonly refused?: string;
  readonly files?: Readonly<Record<string, string>>;
}
