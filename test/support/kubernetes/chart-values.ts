import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Json, Manifest } from '../istio/manifests.ts';

/** Of `proxy.kind`. */
export const PROXIES = ['none', 'traefik', 'envoy-gateway', 'gateway-api', 'istio'] as const;

/** Everything that can be turned on. */
export const FULL = {
  config: {
    redis: { url: 'redis://redis:6379' },
    auth: { providers: [{ id: 'corp', issuer: 'https://idp.example.com' }], sessions: { cookie: '__Host-gate' } },
    relay: { servers: { github: { url: 'http://github-mcp.mcp-servers:3000/mcp' } } },
  },
  secrets: { existingSecret: 'keys', files: { POSTERN_RELAY_SESSION_KEY: 'relay-session-key' } },
  forwardAuth: { autoscaling: { enabled: true } },
  relay: { autoscaling: { enabled: true }, programs: { enabled: true, sizeLimit: '512Mi' } },
  networkPolicy: {
    mcpServers: [
      { name: 'github', namespace: 'mcp-servers', podSelector: { matchLabels: { app: 'github' } }, port: 3000 },
    ],
  },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  podAnnotations: { example: 'yes' },
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'gate', operator: 'Exists' }],
};

/** The values that its README shows. */
export const readmeValues = (): Promise<Json> => shown('my-values.yaml');

/** The policy that its README shows for what is not the chart's. */
export const readmePolicy = (): Promise<Manifest> => shown('redis-policy.yaml');

async function shown(file: string): Promise<Json> {
  const page = await readFile(new URL('../../../deploy/kubernetes/README.md', import.meta.url), 'utf8');
  const [, text] = new RegExp(`\`\`\`yaml\\n(# ${file}[\\s\\S]*?)\`\`\``).exec(page) ?? [];
  if (text === undefined) throw new Error(`the page shows no ${file}`);
  return parse(text);
}
