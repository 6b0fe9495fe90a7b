import { z } from 'zod';
import type { Config, RelayConfig } from '../../../platform/config/schema.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import type { ToolRecord } from '../../gate/tools/tool-record.ts';
import type { Tools } from '../../gate/tools/tools.ts';
import type { ActivityEntry, RecentActivity } from '../recent-activity.ts';
import { notFound, Operation } from './operation.ts';

const count = z.int().min(0);

const serverSummary = z
  .object({
    name: z.string(),
    transport: z.enum(['streamable-http', 'http-sse', 'websocket', 'program']),
    target: z.string().meta({ description: 'address without query, or the name of the program' }),
    health: z
      .enum(['answering', 'failing', 'unknown'])
      .meta({ description: 'by the last request to it; `unknown` before the first' }),
    requests: z.object({ relayed: count, refused: count, failed: count }).meta({ description: 'since the start' }),
    latency: z
      .object({ count, medianMs: z.number().optional(), p95Ms: z.number().optional() })
      .meta({ description: 'of the recent messages that it answered, in milliseconds' }),
    tools: z.object({
      known: count,
      heldBack: count,
      complete: z.boolean().meta({ description: 'a list of tools has been seen to its end' }),
    }),
    pinned: z.boolean().meta({ description: 'its tools are held to their pinned definitions' }),
  })
  .meta({ id: 'Server' });

const toolSummary = z
  .object({
    name: z.string(),
    readOnly: z.boolean(),
    state: z.enum(['usable', 'held-back']),
    pin: z.enum(['none', 'first-seen', 'approved']),
    listedAt: z.iso.datetime(),
    calls: z.object({ relayed: count, refused: count, failed: count }),
  })
  .meta({ id: 'Tool' });

export interface ServersDeps {
  readonly config: Pick<Config, 'relay'>;
  readonly metrics: Pick<RelayMetrics, 'requests' | 'toolCalls' | 'upstreamUp'>;
  readonly tools: Tools;
  readonly activity: RecentActivity;
}

/** How the MCP servers are, and what tools they have. */
export function serverOperations(deps: ServersDeps) {
  const list = async () => {
    const [requests, up] = await Promise.all([deps.metrics.requests.get(), deps.metrics.upstreamUp.get()]);
    return Object.entries(deps.config.relay.servers).map(([name, server]) => ({
      name,
      ...wayTo(server),
      health: healthOf(up.values.find(({ labels }) => labels.server === name)?.value),
      requests: tally(requests.values.filter(({ labels }) => labels.server === name)),
      latency: latencyOf(deps.activity.list(), name),
      tools: toolCounts(deps.tools, name),
      pinned: deps.tools.guards(name),
    }));
  };
  return {
    listServers: new Operation(
      {
        id: 'listServers',
        method: 'GET',
        path: '/servers',
        summary: 'MCP servers with health and latency',
        input: z.object({}),
        output: z.object({ servers: z.array(serverSummary) }),
      },
      async () => ({ servers: await list() }),
    ),
    getServer: new Operation(
      {
        id: 'getServer',
        method: 'GET',
        path: '/servers/{server}',
        summary: 'One MCP server with its tools',
        input: z.object({ server: z.string() }),
        output: z.object({ server: serverSummary, tools: z.array(toolSummary) }),
        problems: { 404: 'There is no such server.' },
      },
      async ({ server }) => {
        const found = (await list()).find(({ name }) => name === server);
        if (found === undefined) throw notFound('there is no such MCP server in relay.servers');
        const calls = (await deps.metrics.toolCalls.get()).values.filter(({ labels }) => labels.server === server);
        const tools = Object.entries(deps.tools.book.snapshot(server).tools)
          .map(([name, record]) => ({
            name,
            readOnly: record.readOnly,
            state: deps.tools.book.holds(server, name) ? ('held-back' as const) : ('usable' as const),
            pin: pinOf(record),
            listedAt: new Date(record.listedAt).toISOString(),
            calls: tally(calls.filter(({ labels }) => labels.tool === name)),
          }))
          .sort((a, b) => a.name.localeCompare(b.name));
        return { server: found, tools };
      },
    ),
  };
}

type ServerConfig = RelayConfig['servers'][string];

/** Nothing that could be a credential: addresses without user and query, programs without arguments. */
function wayTo({ url, transport, command }: ServerConfig) {
  if (url === undefined) return { transport: 'program' as const, target: command?.split('/').at(-1) ?? '' };
  const { origin, protocol, host, pathname } = new URL(url);
  const base = origin === 'null' ? `${protocol}//${host}` : origin;
  const byAddress = /^wss?:/.test(url) ? ('websocket' as const) : ('streamable-http' as const);
  return { transport: transport ?? byAddress, target: base + pathname };
}

function healthOf(up: number | undefined): 'answering' | 'failing' | 'unknown' {
  return up === undefined ? 'unknown' : up === 1 ? 'answering' : 'failing';
}

/** By `outcome`: what an MCP server or the way to it did wrong has failed; a client that left is nobody's fault. */
function tally(values: ReadonlyArray<{ value: number; labels: Partial<Record<string, string | number>> }>) {
  const sums = { relayed: 0, refused: 0, failed: 0 };
  for (const { value, labels } of values) {
    const outcome = String(labels.outcome);
    if (outcome === 'relayed') sums.relayed += value;
    else if (outcome.startsWith('upstream_')) sums.failed += value;
    else if (outcome !== 'client_gone') sums.refused += value;
  }
  return sums;
}

function latencyOf(entries: readonly ActivityEntry[], server: string) {
  const times = entries
    .filter((entry) => entry.server === server && entry.outcome === 'relayed' && entry.action !== 'connect')
    .flatMap(({ durationMs }) => (durationMs === undefined ? [] : [durationMs]))
    .sort((a, b) => a - b);
  const quantile = (q: number) => times[Math.min(times.length - 1, Math.floor(q * times.length))];
  return { count: times.length, medianMs: quantile(0.5), p95Ms: quantile(0.95) };
}

function toolCounts({ book }: Tools, server: string) {
  const { tools, complete } = book.snapshot(server);
  const names = Object.keys(tools);
  return { known: names.length, heldBack: names.filter((name) => book.holds(server, name)).length, complete };
}

function pinOf({ pinned, approved }: ToolRecord): 'none' | 'first-seen' | 'approved' {
  if (pinned === undefined) return 'none';
  return approved === true ? 'approved' : 'first-seen';
}
