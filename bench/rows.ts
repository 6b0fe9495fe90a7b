import { type Bench, CHECK_HEADERS } from './bench.ts';
import type { Load } from './load.ts';
import type { Target } from './target.ts';

/** What a row is held against: so much of another row's requests per second, or so much more latency at the median. */
type Bar =
  | { readonly kind: 'ratio'; readonly of: string; readonly limit?: number }
  | { readonly kind: 'added'; readonly of: string; readonly limit: number };

export interface Row {
  readonly name: string;
  readonly bar?: Bar;
  start(): Promise<Target>;
  load(): Promise<Omit<Load, 'seconds'>>;
}

const TOOL_CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'echo', arguments: { message: 'a benchmark of the relay' } },
});
const MCP_HEADERS = {
  'Content-Type': 'application/json',
  Accept: 'application/json, text/event-stream',
  'MCP-Protocol-Version': '2025-06-18',
};

export function rows(bench: Bench): Row[] {
  const { ports } = bench;
  const get =
    (port: number, more: Partial<Load> = {}) =>
    async () => ({
      url: `http://127.0.0.1:${port}/`,
      connections: 32,
      expect: 200,
      headers: { ...CHECK_HEADERS, Authorization: bench.cached },
      ...more,
    });
  const check = { url: `http://127.0.0.1:${ports.auth}/verify/traefik` };
  let identity: Record<string, string> = {};
  const startRelay = async () => {
    const target = await bench.startRelay();
    identity = target.identity;
    return target;
  };
  const call = (port: number, path: string, connections: number) => async () => ({
    url: `http://127.0.0.1:${port}${path}`,
    method: 'POST',
    body: TOOL_CALL,
    connections,
    expect: 200,
    headers: {
      ...MCP_HEADERS,
      ...identity,
      Host: 'mcp.example.com',
      'X-Forwarded-Host': 'mcp.example.com',
      'X-Forwarded-Proto': 'https',
      'X-Postern-Proxy-Secret': 'a shared secret of the benchmark',
    },
  });
  const session = (cookie: string) => ({
    ...check,
    connections: 32,
    expect: 200,
    headers: { ...CHECK_HEADERS, Cookie: `theme=dark; ${cookie}` },
  });
  const overGrpc = (grpc: NonNullable<Load['grpc']>) => ({ url: '', connections: 4, expect: 200, grpc });
  const throughEnvoy = (connections: number) => async () => ({
    url: `http://127.0.0.1:${ports.proxy}/servers/bench/mcp`,
    method: 'POST',
    connections,
    expect: 200,
    headers: { Host: 'mcp.example.com', 'X-Forwarded-Proto': 'https', Authorization: bench.cached },
  });
  const beside = { stop: async () => {} };
  return [
    { name: 'bare', start: () => bench.startPeer('bare', ports.bare), load: get(ports.bare) },
    {
      name: 'same-bytes',
      bar: { kind: 'ratio', of: 'bare' },
      start: () => bench.startSameBytes(),
      load: get(ports.same),
    },
    {
      name: 'nginx',
      bar: { kind: 'ratio', of: 'bare' },
      start: () => bench.startNginx(),
      load: get(ports.proxy),
    },
    {
      name: 'koa',
      bar: { kind: 'ratio', of: 'bare' },
      start: () => bench.startPeer('koa', ports.koa),
      load: get(ports.koa),
    },
    {
      name: 'jose',
      bar: { kind: 'ratio', of: 'bare' },
      start: () => bench.startPeer('jose', ports.jose),
      load: async () => ({ ...(await get(ports.jose)()), headers: CHECK_HEADERS, tokens: await bench.fresh() }),
    },
    {
      name: 'check-cached',
      bar: { kind: 'ratio', of: 'bare', limit: 0.85 },
      start: () => bench.startAuth(),
      load: get(ports.auth, check),
    },
    {
      name: 'check-new',
      bar: { kind: 'ratio', of: 'jose', limit: 0.95 },
      start: () => bench.startAuth({ maxEntries: 100 }),
      load: async () => ({
        ...(await get(ports.auth, check)()),
        headers: CHECK_HEADERS,
        tokens: await bench.fresh(),
      }),
    },
    {
      name: 'check-none',
      bar: { kind: 'ratio', of: 'bare', limit: 0.8 },
      start: () => bench.startAuth(),
      load: get(ports.auth, { ...check, headers: CHECK_HEADERS, expect: 401 }),
    },
    {
      name: 'check-session',
      bar: { kind: 'ratio', of: 'bare', limit: 0.85 },
      start: () => bench.startSessionAuth({}),
      load: async () => session(await bench.cookie()),
    },
    {
      name: 'check-session-redis',
      bar: { kind: 'ratio', of: 'bare', limit: 0.6 },
      start: () => bench.startSessionAuth({ maxEntries: 0 }),
      load: async () => session(await bench.cookie()),
    },
    {
      name: 'check-envoy',
      bar: { kind: 'ratio', of: 'bare', limit: 0.85 },
      start: () => bench.startAuth(),
      load: async () => ({
        url: `http://127.0.0.1:${ports.auth}/verify/envoy/servers/bench/mcp`,
        method: 'POST',
        connections: 32,
        expect: 200,
        headers: { Host: 'mcp.example.com', 'X-Forwarded-Proto': 'https', Authorization: bench.cached },
      }),
    },
    {
      name: 'grpc-ok',
      start: () => bench.startGrpcPeer(),
      load: async () => overGrpc(await bench.grpc(ports.grpcPeer)),
    },
    {
      name: 'check-grpc',
      bar: { kind: 'ratio', of: 'grpc-ok', limit: 0.6 },
      start: () => bench.startAuth(),
      load: async () => overGrpc(await bench.grpc(ports.grpc)),
    },
    { name: 'envoy', start: () => bench.startEnvoy('none'), load: throughEnvoy(32) },
    {
      name: 'envoy-jwt',
      bar: { kind: 'ratio', of: 'envoy' },
      start: () => bench.startEnvoy('jwt'),
      load: throughEnvoy(32),
    },
    {
      name: 'envoy-http',
      bar: { kind: 'ratio', of: 'envoy' },
      start: () => bench.startEnvoy('http'),
      load: throughEnvoy(32),
    },
    {
      name: 'envoy-grpc',
      bar: { kind: 'ratio', of: 'envoy-http', limit: 1 },
      start: () => bench.startEnvoy('grpc'),
      load: throughEnvoy(32),
    },
    { name: 'caddy', start: () => bench.startCaddy(), load: call(ports.caddy, '/mcp', 16) },
    {
      name: 'relay',
      bar: { kind: 'ratio', of: 'caddy', limit: 1.5 },
      start: startRelay,
      load: call(ports.relay, '/servers/bench/mcp', 16),
    },
    { name: 'upstream-1', start: async () => beside, load: call(ports.upstream, '/mcp', 1) },
    {
      name: 'relay-1',
      bar: { kind: 'added', of: 'upstream-1', limit: 0.6 },
      start: startRelay,
      load: call(ports.relay, '/servers/bench/mcp', 1),
    },
  ];
}
