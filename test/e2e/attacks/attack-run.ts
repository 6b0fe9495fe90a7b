import assert from 'node:assert/strict';
import { classifyHeader } from '../../../src/identity/headers.ts';
import type { Asked } from './check-tap.ts';
import { Differential } from './differential.ts';
import { ECHO, SECRET, type Stage } from './gauntlet.ts';
import { breaches, FORGER, leftToTheRelay } from './oracle.ts';
import type { Tally } from './tally.ts';
import { exchange, type Front, written } from './wire.ts';
import { type Seen, valuesOf } from './witness.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
export const MCP = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
export const bearer = (token: string) => `Authorization: Bearer ${token}`;
export const call = (target: string, lines: readonly string[]) =>
  written({ method: 'POST', target, lines: [...MCP, ...lines], body: CALL });

/** A proxy that clients reach, and what stands behind it. */
export interface Edge {
  readonly front: Front;
  readonly behind: 'witness' | 'relay';
}

/** What a client got; undefined: it was not sent, because the client's own library refused to. */
export type Got = { readonly text: string } | undefined;

/** Sends attacks through one proxy, and holds each request that got through, whichever it came from, against what was allowed. */
export class AttackRun {
  /** Names of headers that only the relay refuses. */
  readonly noted = new Set<string>();
  readonly #proxy: string;
  readonly #stage: Stage;
  readonly #tally: Tally;
  readonly #differential = new Differential();
  /** How many of each list have been looked at; a request that comes late is looked at with the next ones. */
  #judged: { asked: number[]; witness: number; relay: number; echo: number };

  constructor(proxy: string, stage: Stage, tally: Tally) {
    this.#proxy = proxy;
    this.#stage = stage;
    this.#tally = tally;
    this.#judged = this.#now();
  }

  /**
   * @param send says one of them to the proxy
   */
  async attack<T extends { readonly name: string }, G extends Got>(
    what: string,
    { front, behind }: Edge,
    tries: readonly T[],
    send: (all: readonly T[]) => Promise<readonly G[]>,
  ): Promise<readonly G[]> {
    const scheme = front.ca === undefined ? 'http' : 'https';
    // So that a proxy that lets nothing through at all does not pass, nor one that the attacks end.
    await this.#serves('before', front, behind);
    const answers = await send(tries);
    await this.#serves('afterwards', front, behind);

    const wrong: string[] = [];
    // The check's own answer, health and metrics are for others.
    for (const [at, got] of answers.entries())
      if (/^x-authenticated-|^x-postern-(?!request)|^# HELP/im.test(got?.text ?? ''))
        wrong.push(`told the client of ${tries[at]?.name}: ${got?.text.slice(0, 300)}`);

    const from = this.#judged;
    this.#judged = this.#now();
    for (const [at, asked] of this.#stage.asked.entries())
      for (const one of asked.slice(from.asked[at])) this.#differential.allow(one);
    const witnessed = this.#stage.witness.seen.slice(from.witness);
    const passed = [...witnessed, ...this.#stage.relayTap.seen.slice(from.relay)];
    let agreed = 0;
    for (const seen of passed)
      if (this.#differential.agrees(seen, scheme)) agreed++;
      else wrong.push(`not as judged: ${this.#differential.difference(seen, scheme)} in ${shown(seen)}`);
    for (const seen of witnessed) {
      for (const header of leftToTheRelay(seen)) this.noted.add(header.toLowerCase());
      const found = await breaches(seen, this.#stage.expected, scheme);
      if (found.length > 0) wrong.push(`${found.join('; ')} in ${shown(seen)}`);
    }
    for (const seen of this.#stage.echo.seen.slice(from.echo)) wrong.push(...wrongAtServer(seen));

    assert.equal(wrong.length, 0, `${wrong.length} got through:\n${wrong.slice(0, 8).join('\n')}`);
    const sent = answers.filter((got) => got !== undefined).length;
    // Without the two that asked whether it serves.
    if (sent > 0) this.#tally.add(what, this.#proxy, { sent, passed: passed.length - 2, agreed: agreed - 2 });
    return answers;
  }

  async #serves(when: string, front: Front, behind: Edge['behind']): Promise<void> {
    const { token, echoToken } = this.#stage;
    const bytes =
      behind === 'witness'
        ? written({ target: '/app/alive', lines: [bearer(token)] })
        : call(ECHO, [bearer(echoToken), 'User-Agent: alice']);
    const { statuses, text } = await exchange(front, { bytes, patience: 10_000 });
    assert.deepEqual(statuses, [200], `${when}: ${text}`);
  }

  #now() {
    const { asked, witness, relayTap, echo } = this.#stage;
    return {
      asked: asked.map((all: readonly Asked[]) => all.length),
      witness: witness.seen.length,
      relay: relayTap.seen.length,
      echo: echo.seen.length,
    };
  }
}

function wrongAtServer({ method, url, rawHeaders }: Omit<Seen, 'rawTrailers'>): string[] {
  const wrong: string[] = [];
  const raw = shown(rawHeaders);
  if (method !== 'POST' || url !== '/mcp') wrong.push(`${method} ${url} at the MCP server`);
  if (rawHeaders.some((text) => text.includes(FORGER) || text.includes(SECRET)))
    wrong.push(`forged at the MCP server: ${raw}`);
  if (rawHeaders.some((name, at) => at % 2 === 0 && classifyHeader(name) !== 'none'))
    wrong.push(`identity at the MCP server: ${raw}`);
  if (valuesOf(rawHeaders, 'user-agent')[0] !== 'alice') wrong.push(`no credential, and served: ${raw}`);
  return wrong;
}

/** Without tokens, which would fill the screen. */
export function shown(seen: object): string {
  return JSON.stringify(seen)
    .replace(/eyJ[\w.-]+/g, '…')
    .slice(0, 1_000);
}

/**
 * Each item by the first worker that is free.
 *
 * @param workers say one item each
 */
export async function inTurns<T, R>(
  items: readonly T[],
  workers: ReadonlyArray<(item: T) => Promise<R>>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const turn = async (work: (item: T) => Promise<R>) => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at] as T);
    }
  };
  await Promise.all(workers.map(turn));
  return results;
}
