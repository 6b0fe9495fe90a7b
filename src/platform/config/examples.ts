import type { Config } from './schema.ts';

/** The most common keys of each section, as the reference shows them; each is a whole file that is accepted. */
export const EXAMPLES = {
  general: `publicUrl: https://mcp.example.com
log: { level: info }
userNames: [username, email]
drain: { delay: 3s, timeout: 10s }`,
  auth: `auth:
  listen: 0.0.0.0:4180
  trustedProxies: [10.0.0.0/8]
  providers:
    - id: corp
      issuer: https://id.example.com/realms/corp
      clientId: postern
      clientSecretPath: /run/secrets/corp-client-secret
  rules:
    - match: { path: /servers/github/** }
      allow: { groups: [engineering] }
    - match: { path: /** }
      allow: anyone-signed-in
  sessions: { idleTimeout: 8h, absoluteLifetime: 24h }`,
  redis: `redis:
  url: rediss://redis.example.com:6379/0
  username: postern # its password is in the file that POSTERN_REDIS_PASSWORD_FILE names`,
  audit: `audit:
  file: { path: "/var/log/postern/{process}.jsonl", maxSize: 100MiB, maxFiles: 30 }
  chain: {}
  whenFull: refuse`,
  tracing: `tracing:
  endpoint: http://otel-collector:4318
  sample: 0.05`,
  watch: `watch:
  addresses: network
  window: 1h
  detectors:
    manyDenials: { maxCount: 100, within: 10m }
    newNetwork: { enabled: false }`,
  relay: `relay:
  listen: 0.0.0.0:4444
  trust:
    proxies: [10.0.0.0/8]
    assertion: { jwksUrl: "http://forward-auth:4180/_postern/jwks.json" }
  servers:
    github: { url: "http://github-mcp:3000/mcp" }
  policy:
    rules:
      - { who: { groups: [engineering] }, servers: [github], tools: ["get_*", "list_*"] }
      - { who: { groups: [maintainers] }, servers: [github] }`,
} as const satisfies Record<'general' | Exclude<keyof Config, 'publicUrl' | 'log' | 'userNames' | 'drain'>, string>;
