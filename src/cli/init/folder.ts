import type { NewFile } from '../new-files.ts';
import { makeSecrets, shellEnvironment } from '../secrets.ts';
import type { Answers } from './answers.ts';
import { addressText, EXAMPLE_ADDRESS, PROXIES, type ProxyChoice } from './choices.ts';
import { composeText } from './compose.ts';
import { CLIENT_SECRET, configurationText } from './configuration.ts';
import { deployed, proxyFiles } from './deployed.ts';
import { istioText } from './istio.ts';
import { stepsText } from './steps.ts';

const OPEN = 0o644;
const OWNER_ONLY = 0o600;

/**
 * All files of the folder, by their paths in it.
 *
 * @param owner user and group of the processes, `UID:GID`
 */
export async function folderFiles(answers: Answers, owner: string): Promise<Record<string, NewFile>> {
  const { proxy, clientSecret, publicUrl, listen = EXAMPLE_ADDRESS, servers } = answers;
  const hasSecret = clientSecret !== undefined;
  const open = (content: string): NewFile => ({ content, mode: OPEN });
  const common = {
    'postern.yaml': open(configurationText(answers, hasSecret)),
    'README.md': open(stepsText(answers, hasSecret)),
    '.gitignore': open(['.env', CLIENT_SECRET, 'proof.conf', ''].join('\n')),
    ...(hasSecret && { [CLIENT_SECRET]: { content: clientSecret, mode: OWNER_ONLY } }),
  };
  const hasPrograms = [...servers.values()].some(({ command }) => command !== undefined);
  const { start, listens, addressText: written = addressText } = PROXIES[proxy] as ProxyChoice;
  if (start === undefined)
    return {
      ...common,
      ...filesOf(
        proxy,
        (name) => name,
        (_, text) => istioText(text, publicUrl, { hasSecret, hasPrograms }),
      ),
    };
  const secrets = await makeSecrets();
  const environment = [`CONTAINER_USER=${owner}`, shellEnvironment(secrets), ''].join('\n');
  return {
    ...common,
    '.env': { content: environment, mode: OWNER_ONLY },
    'compose.yaml': open(composeText({ proxy, listen, hasPrograms }, Object.keys(secrets))),
    ...filesOf(
      proxy,
      (name) => `proxy/${name}`,
      (name, text) => (name === listens ? text.replace(written(EXAMPLE_ADDRESS), () => written(listen)) : text),
    ),
  };
}

function filesOf(
  proxy: string,
  place: (name: string) => string,
  edit: (name: string, text: string) => string,
): Record<string, NewFile> {
  return Object.fromEntries(
    proxyFiles(proxy).flatMap((name) => {
      const content = edit(name, deployed(`${proxy}/${name}`));
      return content === '' ? [] : [[place(name), { content, mode: OPEN }]];
    }),
  );
}
