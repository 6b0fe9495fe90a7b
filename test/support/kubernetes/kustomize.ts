import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { goProgramOrSkip } from '../go-program.ts';

const run = promisify(execFile);
const KUSTOMIZE = 'sigs.k8s.io/kustomize/kustomize/v5@v5.6.0';
const FOLDER = fileURLToPath(new URL('../../../deploy/kubernetes/kustomize/', import.meta.url));

export interface Kustomize {
  /** What `kustomize build` makes of a folder below `deploy/kubernetes/kustomize`. */
  build(folder: string): Promise<string>;
  /** The base with these components, in a folder of its own. */
  withComponents(names: readonly string[]): Promise<string>;
}

export async function kustomizeOrSkip(context: Mocha.Context): Promise<Kustomize> {
  const kustomize = await goProgramOrSkip(context, 'kustomize', KUSTOMIZE);
  const build = async (folder: string) => (await run(kustomize, ['build', join(FOLDER, folder)])).stdout;
  return {
    build,
    withComponents: async (names) => {
      const folder = await mkdtemp(join(FOLDER, 'overlays', 'tried-'));
      const components = names.map((name) => `../../components/${name}`);
      const kustomization = { namespace: 'postern', resources: ['../../base'], components };
      await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
      try {
        return await build(folder.slice(FOLDER.length));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  };
}
