import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { replaceTexts } from '../copied-folder.ts';
import { CLIENT } from '../sign-in-provider.ts';
import { type CopiedDeploy, copyDeploy } from './copied-deploy.ts';
import { composeLoaderOrSkip } from './project.ts';
import { startProject } from './start.ts';

const run = promisify(execFile);

/** What the folders' READMEs have a person set. */
export const ENV = {
  POSTERN_RELAY_TRUST_SECRET: 'the secret that proxy and relay share',
  DEX_CLIENT_SECRET: CLIENT.secret,
  // Weak ones, such as a name that repeats itself, are refused there.
  CONTEXTFORGE_JWT_SECRET: randomBytes(48).toString('base64'),
  CONTEXTFORGE_ENCRYPTION_SECRET: randomBytes(48).toString('base64'),
  CONTEXTFORGE_ADMIN_PASSWORD: randomBytes(24).toString('base64'),
  KEYCLOAK_CLIENT_SECRET: CLIENT.secret,
  KEYCLOAK_ADMIN_PASSWORD: 'password of the admin in the tests',
  OAUTH2_PROXY_CLIENT_SECRET: CLIENT.secret,
  OAUTH2_PROXY_COOKIE_SECRET: Buffer.alloc(32, 7).toString('base64url'),
  AUTHELIA_SESSION_SECRET: 'the secret of sessions in the tests',
  AUTHELIA_STORAGE_ENCRYPTION_KEY: 'the key of a storage that is not used',
  TUNNEL_TOKEN: 'token of no tunnel',
};

export interface FolderOptions {
  /** Services that cannot be had here. */
  readonly without?: readonly string[];
  /** Changes the copy before anything is started. */
  readonly prepare?: (copy: CopiedDeploy) => Promise<void>;
}

export interface RunningFolder {
  readonly copy: CopiedDeploy;
  /** Runs `check.sh` as a person does. Rejects with what it and the services wrote where anything is wrong. */
  check(args?: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** A folder of `deploy/` with its compose file, run by programs of this machine; skipped where one cannot be had. */
export async function startFolder(
  context: Mocha.Context,
  name: string,
  { without = [], prepare }: FolderOptions = {},
): Promise<RunningFolder> {
  const load = await composeLoaderOrSkip(context);
  const copy = await copyDeploy(name);
  try {
    await writeFile(`${copy.folder}/client-secret`, CLIENT.secret);
    await prepare?.(copy);
    const project = await load(`${copy.folder}/compose.yaml`, ENV);
    const missing = without.filter((service) => !(service in project.services));
    if (missing.length > 0) throw new Error(`deploy/${name} has no service ${missing.join(', ')} any more`);
    const services = Object.entries(project.services).filter(([service]) => !without.includes(service));
    const running = await startProject(context, { ...project, services: Object.fromEntries(services) });
    return {
      copy,
      check: async (args = []) => {
        try {
          await run('sh', [`${copy.folder}/check.sh`, ...args], { timeout: 110_000 });
        } catch (error) {
          const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
          throw new Error(`check.sh: ${stdout}${stderr}\n${running.output().slice(-2_000)}`);
        }
      },
      stop: async () => {
        await running.stop();
        await copy.remove();
      },
    };
  } catch (error) {
    await copy.remove();
    throw error;
  }
}

/** Replaces a text of a file, which must be there. */
export async function replaceIn(file: string, from: string, to: string): Promise<void> {
  await writeFile(file, replaceTexts(await readFile(file, 'utf8'), [[from, to]]));
}
