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
    const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    let written = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      written += text;
    });
    child.stdin.end(JSON.stringify({ chart: CHART, values }));
    await once(child, 'close');
    const { refused, files = {}, problems = [] } = JSON.parse(written) as Answer;
    if (refused !== undefined) return { refused };
    const manifests: Manifest[] = [];
    let notes = '';
    for (const [name, text] of Object.entries(files))
      if (name.endsWith('NOTES.txt')) notes = text;
      else
        for (const document of parseAllDocuments(text, { strict: true })) {
          if (document.errors[0] !== undefined) throw document.errors[0];
          const manifest = document.toJS() as Manifest | null;
          if (manifest !== null) manifests.push(manifest);
        }
    return { manifests, notes, problems };
  };
}

interface Answer {
  readonly refused?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly problems?: readonly string[];
}
