import { isLoopback } from '../../platform/addresses.ts';
import { withoutBrackets } from '../../platform/config/host-and-port.ts';
import type { Answers } from './answers.ts';
import { addressText, PROVIDERS, PROXIES, type ProviderChoice, type ProxyChoice } from './choices.ts';
import { CLIENT_SECRET } from './configuration.ts';

const DOCS = 'https://github.com/postern-mcp/postern/blob/main';

/** What to do with the folder: its README. */
export function stepsText(answers: Answers, hasSecret: boolean): string {
  const proxy = PROXIES[answers.proxy] as ProxyChoice;
  const provider = PROVIDERS[answers.provider] as ProviderChoice;
  const isLocal = isLoopback(withoutBrackets(new URL(answers.publicUrl).hostname));
  const steps = [
    clientStep(answers, provider, hasSecret),
    ...(isLocal ? [] : [addressStep(answers, proxy)]),
    'Check the configuration, then everything that it names:\n\n       postern check && postern doctor',
    proxy.start === undefined ? clusterStep(hasSecret) : localStep(proxy.start),
    `Try it as a client and as an attacker would:\n\n       postern verify ${answers.publicUrl} --server ${[...answers.servers.keys()][0]}`,
    ...(isLocal ? [`Before it serves others: ${beforeOthers(answers, proxy)}`] : []),
  ];
  return `# Postern behind ${proxy.title}, with ${provider.title}

In this folder:

${steps.map((step, index) => `${index + 1}. ${step}`).join('\n\n')}
`;
}

function clientStep({ publicUrl, clientId }: Answers, { title, anchor }: ProviderChoice, hasSecret: boolean): string {
  const secret = hasSecret
    ? `Its secret is in \`${CLIENT_SECRET}\`.`
    : `If it has a secret, write that into \`${CLIENT_SECRET}\` (chmod 600) and \`clientSecretPath: ${CLIENT_SECRET}\` below \`clientId\`.`;
  return `At ${title}, the client \`${clientId}\` needs the redirect URI ${publicUrl}/_postern/callback and, after sign-out, ${publicUrl}/_postern/signed-out:
   ${DOCS}/docs/providers.md#${anchor}. ${secret}`;
}

function localStep(start: string): string {
  return `Start it, by Docker Compose:

       docker compose up --wait

   or with programs of this machine:

       set -a; . ./.env; set +a
       postern auth &
       postern relay &
       (cd proxy && ${start})`;
}

function clusterStep(hasSecret: boolean): string {
  return `Start it in the cluster:

       helm upgrade istiod istio/istiod -n istio-system --reuse-values -f mesh-values.yaml
       kubectl apply -f workloads.yaml -f mesh.yaml -f custom.yaml
       kubectl create configmap postern -n postern --from-file=postern.yaml${
         hasSecret ? `\n       kubectl create secret generic postern -n postern --from-file=${CLIENT_SECRET}` : ''
       }`;
}

/** What the proxy needs before clients can reach it at the public address. */
function addressStep(answers: Answers, proxy: ProxyChoice): string {
  const { publicUrl, listen } = answers;
  const place = certificatePlace(answers, proxy);
  if (listen === undefined)
    return `Make the gateway's account and labels, and the certificate of ${publicUrl}, those of your mesh: ${place}`;
  const { title } = proxy;
  const reached = addressText(listen);
  return `${title} listens on ${reached}, without TLS. Have ${publicUrl} lead to it: give ${title} that address and its certificate in ${place},
   or put a load balancer with the certificate before it and trust that one's forwarded headers there.`;
}

function beforeOthers(answers: Answers, proxy: ProxyChoice): string {
  const { title } = proxy;
  return `clients reach all this at ${answers.publicUrl} alone. Write your address into \`publicUrl\`, and give ${title} it and its certificate in ${certificatePlace(answers, proxy)}`;
}

function certificatePlace({ proxy }: Answers, { start, listens }: ProxyChoice): string {
  return `\`${start === undefined ? '' : 'proxy/'}${listens}\` (${DOCS}/deploy/${proxy}/README.md)`;
}
