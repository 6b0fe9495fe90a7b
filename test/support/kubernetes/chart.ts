import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../istio/manifests.ts';
import { pythonOrSkip } from '../python.ts';

const CHART = fileURLToPath(new URL('../../../deploy/kubernetes/chart', import.meta.url));
const SCRIPT = fileURLToPath(new URL('./chart.py', import.meta.url));
/** Helm 4's own engine, and the schemas of Kubernetes 1.37, both as wheels. */
const PACKAGES = ['helm-python-sdk==0.2.2', 'kubernetes-validate==1.37.0'];

export interface Rendered {
  readonly manifests: readonly Manifest[];
  readonly notes: string;
  /** What does not fit the schemas of Kubernetes itself. */
  readonly problems: readonly string[];
}

export type Chart = (values: object) => Promise<Rendered | { readonly refused: string }>;

/** `helm template` for the chart of `deploy/kubernetes`, release `gate` in namespace `postern`. */
export async function chartOrSkip(context: Mocha.Context): Promise<Chart> {
  const python = await pythonOrSkip(context, 'kubernetes', PACKAGES);
  return async (values) => {
    const { refused, files = {}, problems = [] } = await ask(python, { chart: CHART, values });
    if (refused !== undefined) return { refused };
    const manifests = Object.entries(files).flatMap(([name, text]) =>
      name.endsWith('NOTES.txt') ? [] : readManifestsOf(text),
    );
    const notes = Object.entries(files).find(([name]) => name.endsWith('NOTES.txt'))?.[1] ?? '';
    return { manifests, notes, problems };
  };
}

/** Objects of Kubernetes' own kinds against its schemas. @returns what does not fit, of a YAML text */
export async function objectProblemsOrSkip(
  context: Mocha.Context,
): Promise<(text: string) => Promise<readonly string[]>> {
  const python = await pythonOrSkip(context, 'kubernetes', PACKAGES);
  return async (text) => (await ask(python, { files: { objects: text } })).problems ?? [];
}

/** Reads as Kubernetes does, where `0440` is octal. @throws Error where a document is no YAML */
export function readManifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text, { strict: true, version: '1.1' }).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

async function ask(python: string, question: object): Promise<Answer> {
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  let written = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written += text;
  });
  child.stdin.end(JSON.stringify(question));
  await once(child, 'close');
  return JSON.parse(written) as Answer;
}

interface Answer {
  readonly refused?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly problems?: readonly string[];
}
