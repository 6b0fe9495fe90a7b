import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Replica } from '../../test/support/gate-replicas.ts';
import { count, type Report } from './report.ts';
import type { People } from './system.ts';

/** Who asks: people who are signed in, one who is not any more, tokens good and forged, and a cookie that was made up. */
export type Kind = 'session' | 'ended' | 'bearer' | 'forged' | 'invented';

/** Milliseconds between two rounds of one request of each kind. */
const ROUND = 60;
/** Milliseconds after which a proxy gives up. */
const PATIENCE = 5_000;
const MAY_PASS: ReadonlySet<Kind> = new Set<Kind>(['session', 'bearer']);

/**
 * Asks steadily until the signal ends it, at each replica that is ready in turn, as a load balancer with health checks does.
 *
 * @param report of the phase that is on when a request begins
 */
export async function load(system: People, signal: AbortSignal, report: () => Report): Promise<void> {
  const routes = balance(system.gate.replicas, signal);
  const running = new Set<Promise<void>>();
  for (let round = 0; !signal.aborted; round++) {
    for (const kind of ['session', 'ended', 'bearer', 'forged', 'invented'] as const) {
      const one: Promise<void> = ask(routes(), kind, fieldsOf(system, kind, round), report()).finally(() =>
        running.delete(one),
      );
      running.add(one);
    }
    await sleep(ROUND);
  }
  await Promise.all(running);
}

/** @returns whether a request of each kind that may pass does, at every replica */
export async function isWell({ gate, alive, bearer }: People): Promise<boolean> {
  for (const replica of gate.replicas)
    for (const headers of [{ Cookie: alive[0] as string }, { Authorization: `Bearer ${bearer}` }]) {
      const answer = await replica.check(headers).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.status !== 200) return false;
    }
  return true;
}

/** Bytes of each replica. */
export function memory({ gate }: People): Promise<number[]> {
  return Promise.all(
    gate.replicas.map(async ({ internal }) => {
      const metrics = await (await fetch(`${internal}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
    }),
  );
}

async function ask(replica: Replica, kind: Kind, headers: Record<string, string>, report: Report): Promise<void> {
  const start = performance.now();
  const status = await Promise.race([statusOf(replica, headers), sleep(PATIENCE, 'lost' as const, { ref: false })]);
  count(report, `${kind} ${status}`);
  if (MAY_PASS.has(kind)) report.times.push(performance.now() - start);
  if (status === 200 && !MAY_PASS.has(kind)) report.wrongAllows += 1;
  if (kind === 'session' && (status === 401 || status === 302)) report.signOuts += 1;
}

async function statusOf(replica: Replica, headers: Record<string, string>): Promise<number | 'lost'> {
  try {
    const answer = await replica.check(headers);
    await answer.body?.cancel();
    return answer.status;
  } catch {
    return 'lost';
  }
}

function fieldsOf({ alive, ended, bearer }: People, kind: Kind, round: number): Record<string, string> {
  switch (kind) {
    case 'session':
      return { Cookie: alive[round % alive.length] as string };
    case 'ended':
      return { Cookie: ended[round % ended.length] as string };
    case 'bearer':
      return { Authorization: `Bearer ${bearer}` };
    case 'forged':
      return {
        Authorization: `Bearer ${bearer.slice(0, bearer.lastIndexOf('.') + 1)}${randomBytes(256).toString('base64url')}`,
      };
    case 'invented':
      return { Cookie: `__Host-postern=${randomBytes(32).toString('base64url')}` };
    default:
      return kind satisfies never;
  }
}

/** Replicas in turn; one whose `/readyz` fails gets nothing until it answers again. */
function balance(replicas: readonly Replica[], signal: AbortSignal): () => Replica {
  const ready = new Map(replicas.map((replica) => [replica, true]));
  const watch = async (replica: Replica) => {
    while (!signal.aborted) {
      const answer = await fetch(`${replica.internal}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      );
      await answer?.body?.cancel();
      ready.set(replica, answer?.ok === true);
      await sleep(150);
    }
  };
  for (const replica of replicas) void watch(replica);
  let turn = 0;
  return () => {
    const up = replicas.filter((replica) => ready.get(replica) === true);
    const from = up.length === 0 ? replicas : up;
    return from[turn++ % from.length] as Replica;
  };
}
