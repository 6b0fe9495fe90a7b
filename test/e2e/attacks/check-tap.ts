import type { IncomingMessage } from 'node:http';
import type { CheckRequest } from '../../../src/forward-auth/decision/request.ts';
import type { ProxyAdapter } from '../../../src/forward-auth/proxies/adapter.ts';
import { CADDY } from '../../../src/forward-auth/proxies/caddy.ts';
import { ENVOY } from '../../../src/forward-auth/proxies/envoy.ts';
import { NGINX } from '../../../src/forward-auth/proxies/nginx.ts';
import { TRAEFIK } from '../../../src/forward-auth/proxies/traefik.ts';
import { startByteTap, type TapTls } from './byte-tap.ts';
import { type Answer, takeAnswer } from './wire.ts';
import { createWitness, readAlong, type Seen } from './witness.ts';

/** One request that forward-auth allowed: what it was asked, and what of its answer decides what goes on. */
export interface Asked {
  readonly request: CheckRequest;
  /** Every header of the question, name and value alternating. */
  readonly raw: readonly string[];
  /** The `Cookie` of the answer, which replaces that of the request; undefined: the answer names none. */
  readonly cookie: string | undefined;
}

const ADAPTERS: readonly ProxyAdapter[] = [TRAEFIK, CADDY, NGINX, ENVOY];

/**
 * A tap before forward-auth that remembers what was allowed, read by forward-auth's own adapters.
 *
 * @param to port of forward-auth
 */
export async function startCheckTap(to: number, tls?: TapTls) {
  const asked: Asked[] = [];
  const tap = await startByteTap(to, () => listenTo(asked), tls);
  return { ...tap, asked };
}

/** Proxies ask for one thing after another on a connection, so answers come in the order of the questions. */
function listenTo(asked: Asked[]) {
  const open: Seen[] = [];
  const { write, end } = readAlong(createWitness((question) => open.push(question)));
  let text = '';
  return {
    sent: write,
    ended: end,
    answered(chunk: Buffer) {
      text += chunk.toString('latin1');
      while (open[0] !== undefined) {
        const taken = takeAnswer(text, open[0].method);
        if (taken === undefined) return;
        text = text.slice(taken.end);
        if (taken.status < 200) continue;
        const question = open.shift() as Seen;
        if (taken.status === 200) remember(asked, question, taken);
      }
    },
  };
}

function remember(asked: Asked[], question: Seen, { head }: Answer): void {
  const adapter = ADAPTERS.find(({ name }) => new RegExp(`^/verify/${name}(?=[/?]|$)`).test(question.url));
  if (adapter === undefined) return;
  const request = adapter.parse(question as unknown as IncomingMessage);
  if ('kind' in request) throw new Error(`forward-auth allowed what its adapter refuses: ${request.description}`);
  asked.push({ request, raw: question.rawHeaders, cookie: /^cookie: *(.*)$/im.exec(head)?.[1]?.trim() });
}
