/** One import, export-from or dynamic import of a source file. */
export interface ImportLine {
  /** Path of the importing file below `src/`. */
  readonly from: string;
  /** Path below `src/` of the imported file, or the name of a package or Node module. */
  readonly to: string;
  /** `import type`: gone when the program runs. */
  readonly typeOnly: boolean;
}

/** Which folders of `src/` a folder may import from. The longest matching prefix rules. Itself is always allowed. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'identity/': [],
  'platform/': ['identity/'],
  'stores/': ['identity/', 'platform/'],
  'watch/': ['identity/', 'platform/', 'stores/'],
  'forward-auth/': ['identity/', 'platform/', 'stores/', 'watch/'],
  'forward-auth/decision/': [
    'identity/',
    'platform/name-glob.ts',
    'platform/names.ts',
    'platform/navigation.ts',
    'platform/resource-uris.ts',
  ],
  'forward-auth/proxies/': ['identity/', 'platform/', 'forward-auth/decision/'],
  'forward-auth/authenticators/': [
    'identity/',
    'platform/',
    'stores/',
    'forward-auth/decision/',
    'forward-auth/sessions/',
    'forward-auth/api-keys/',
    'forward-auth/limits/',
    'watch/',
  ],
  'forward-auth/sessions/': ['identity/', 'platform/', 'stores/', 'forward-auth/decision/'],
  'forward-auth/limits/': ['identity/', 'platform/', 'stores/', 'forward-auth/decision/'],
  'forward-auth/api-keys/': ['identity/', 'platform/', 'stores/'],
  'forward-auth/login/': [
    'identity/',
    'platform/',
    'stores/',
    'forward-auth/decision/',
    'forward-auth/sessions/',
    'forward-auth/authenticators/',
    'forward-auth/limits/',
    'watch/',
  ],
  'forward-auth/mcp-authorization/broker/': [
    'identity/',
    'platform/',
    'stores/',
    'forward-auth/decision/',
    'forward-auth/sessions/',
    'forward-auth/authenticators/',
    'forward-auth/login/',
    'watch/',
  ],
  'forward-auth/mcp-authorization/': ['identity/', 'platform/', 'stores/', 'forward-auth/decision/'],
  'forward-auth/assertions/': ['identity/', 'platform/', 'forward-auth/decision/', 'forward-auth/proxies/render.ts'],
  // Decides, renders and records a check, whatever the proxy and the credential.
  'forward-auth/check/': [
    'identity/',
    'platform/',
    'watch/',
    'forward-auth/decision/',
    'forward-auth/proxies/',
    'forward-auth/assertions/',
  ],
  'forward-auth/explain/': [
    'identity/',
    'platform/',
    'forward-auth/decision/',
    'forward-auth/proxies/',
    'forward-auth/login/sign-in-urls.ts',
    'forward-auth/policy.ts',
  ],
  'forward-auth/operator/': [
    'identity/',
    'platform/',
    'forward-auth/sessions/',
    'forward-auth/api-keys/',
    'forward-auth/mcp-authorization/broker/',
  ],
  'relay/': ['identity/', 'platform/', 'stores/', 'watch/'],
  'relay/protocol/': ['identity/mcp-field-text.ts', 'platform/is-record.ts', 'platform/tracing/'],
  'relay/replicas/': ['identity/', 'platform/', 'stores/', 'relay/protocol/', 'relay/refusal.ts'],
  'relay/policy/': [
    'identity/',
    'platform/config/config-document.ts',
    'platform/config/config-source.ts',
    'platform/name-glob.ts',
    'platform/names.ts',
    'platform/resource-uris.ts',
    'platform/errors.ts',
    'platform/is-record.ts',
    'relay/protocol/',
  ],
  'relay/trust/': ['identity/', 'platform/', 'stores/', 'watch/', 'relay/refusal.ts', 'relay/allowed-origins.ts'],
  'relay/audit/': ['identity/', 'platform/', 'relay/protocol/', 'relay/policy/'],
  'relay/gate/': [
    'identity/',
    'platform/',
    'stores/',
    'watch/',
    'relay/protocol/',
    'relay/policy/',
    'relay/audit/',
    'relay/replicas/',
    'relay/trust/',
    'relay/refusal.ts',
    'relay/all-servers.ts',
    'relay/mcp-attributes.ts',
  ],
  'relay/connect/': [
    'identity/',
    'platform/',
    'stores/',
    'relay/protocol/',
    'relay/trust/',
    'relay/credentials/',
    'relay/refusal.ts',
  ],
  'relay/credentials/': [
    'identity/',
    'platform/',
    'stores/',
    'relay/trust/',
    'relay/connect/open-accounts.ts',
    'relay/upstreams/request-headers.ts',
    'relay/refusal.ts',
  ],
  // Towards MCP servers, whoever asks.
  'relay/upstreams/': [
    'identity/',
    'platform/',
    'relay/protocol/',
    'relay/trust/',
    'relay/gate/',
    'relay/credentials/',
    'relay/replicas/',
    'relay/refusal.ts',
    'relay/mcp-attributes.ts',
  ],
  // Towards clients, whatever server is behind the port.
  'relay/downstream/': ['platform/', 'relay/protocol/', 'relay/gate/', 'relay/upstreams/', 'relay/refusal.ts'],
  'relay/eras/': [
    'platform/',
    'relay/protocol/',
    'relay/trust/',
    'relay/gate/',
    'relay/replicas/',
    'relay/upstreams/',
    'relay/downstream/',
  ],
  // The set of servers and their replacement, whoever asks.
  'relay/servers/': [
    'platform/',
    'relay/protocol/',
    'relay/upstreams/',
    'relay/credentials/',
    'relay/replicas/',
    'relay/open-upstream.ts',
    'relay/refusal.ts',
    'relay/all-servers.ts',
  ],
  'relay/aggregate/': [
    'identity/',
    'platform/',
    'relay/protocol/',
    'relay/trust/',
    'relay/gate/',
    'relay/upstreams/',
    'relay/downstream/',
    'relay/intake.ts',
    'relay/outcomes.ts',
    'relay/refusal.ts',
    'relay/transports/channel/connection.ts',
  ],
  'relay/transports/': [
    'identity/',
    'platform/',
    'stores/',
    'relay/protocol/',
    'relay/trust/',
    'relay/gate/',
    'relay/upstreams/',
    'relay/replicas/',
    'relay/intake.ts',
    'relay/outcomes.ts',
    'relay/refusal.ts',
    'relay/all-servers.ts',
    'relay/allowed-origins.ts',
    'relay/mcp-attributes.ts',
  ],
  'relay/admin/': [
    'identity/',
    'platform/',
    'stores/',
    'watch/',
    'relay/trust/',
    'relay/policy/',
    'relay/gate/',
    'relay/transports/open-streams.ts',
  ],
  'quickstart/': ['identity/', 'platform/', 'stores/', 'forward-auth/', 'relay/'],
  'cli/': ['identity/', 'platform/', 'stores/', 'forward-auth/', 'relay/', 'quickstart/'],
};

/** The decision is pure: no framework, store, network, metric or log can reach it. */
const FORBIDDEN_PACKAGES: Readonly<Record<string, RegExp>> = {
  'relay/policy/':
    /^(koa|@koa\/|undici|ioredis|redis|prom-client|pino|@opentelemetry\/|node:(http|https|http2|net|fs|dns))/,
  'forward-auth/decision/':
    /^(koa|@koa\/|undici|ioredis|redis|prom-client|pino|@opentelemetry\/|node:(http|https|http2|net|fs|dns))/,
};

const IMPORT =
  /(?:^|[\n;])\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g;

/** @param file path below `src/` */
export function importLines(file: string, source: string): ImportLine[] {
  const lines: ImportLine[] = [];
  for (const match of source.matchAll(IMPORT)) {
    const to = (match[2] ?? match[3]) as string;
    lines.push({
      from: file,
      to: to.startsWith('.') ? new URL(to, `file:///${file}`).pathname.slice(1) : to,
      typeOnly: match[1] !== undefined,
    });
  }
  return lines;
}

/** @returns one readable line for each import that the table does not allow */
export function violations(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([file, source]) => {
    const layer = layerOf(file);
    if (layer === undefined) return [`${file}: in no folder of the table`];
    return importLines(file, source)
      .filter((line) => !isAllowed(layer, line, files))
      .map((line) => `${line.from} imports ${line.to}`);
  });
}

function layerOf(file: string): string | undefined {
  return Object.keys(ALLOWED)
    .filter((prefix) => file.startsWith(prefix))
    .sort((a, b) => b.length - a.length)[0];
}

function isAllowed(layer: string, line: ImportLine, files: ReadonlyMap<string, string>): boolean {
  const ours = files.has(line.to) || /\.ts$/.test(line.to);
  if (!ours) return FORBIDDEN_PACKAGES[layer]?.test(line.to) !== true;
  // The shape of a configured rule is what the decision decides by; the type is no dependency at run time.
  if (line.typeOnly && line.to === 'platform/config/schema.ts') return layer !== 'identity/';
  return line.to.startsWith(layer) || (ALLOWED[layer] ?? []).some((prefix) => line.to.startsWith(prefix));
}
