import type { Answers } from './answers.ts';
import { PROVIDERS, PROXIES, type ProviderChoice, type ProxyChoice } from './choices.ts';
import { CLIENT_SECRET } from './configuration.ts';

const DOCS = 'https://github.com/postern-mcp/postern/blob/main';

/** What to do with the folder: its README. */
export function stepsText(answers: Answers, hasSecret: boolean): string {
  const proxy = PROXIES[answers.proxy] as ProxyChoice;
  const provider = PROVIDERS[answers.provider] as ProviderChoice;
  const steps = [
    clientStep(answers, provider, hasSecret),
    'Check the configuration, then everything that it names:\n\n       postern check && postern doctor',
    proxy.start === undefined ? clusterStep(hasSecret) : localStep(proxy.start),
    `Try it as a client and as an attacker would:\n\n       postern verify ${answers.publicUrl} --server ${[...answers.servers.keys()][0]}`,
    `Before it serves others: ${beforeOthers(answers, proxy)}`,
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

function beforeOthers({ proxy, publicUrl }: Answers, { title, start, listens }: ProxyChoice): string {
  const guide = `${DOCS}/deploy/${proxy}/README.md`;
  if (start === undefined)
    return `the gateway's account and labels, and its certificate, are those of \`mesh.yaml\`: ${guide}`;
  const certificate = `\`proxy/${listens}\`: ${guide}`;
  return publicUrl.startsWith('https:')
    ? `${title} listens on http://127.0.0.1:8080. Give it the address and the certificate of ${publicUrl} in ${certificate}`
    : `all listens on this machine alone. Write your address into \`publicUrl\`, and give ${title} it and its certificate in ${certificate}`;
}
