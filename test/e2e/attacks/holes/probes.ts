import { FORGER } from '../oracle.ts';
import type { Said } from '../stub-authorizer.ts';
import { valuesOf } from '../witness.ts';
import type { Probe, Result } from './hole.ts';

/** A forged value of this header reached the upstream. */
export const has = (name: string) => (result: Result) =>
  result.seen.some(({ rawHeaders }) => valuesOf(rawHeaders, name).some((value) => value.includes(FORGER)));
/** The upstream got a request in which this header has no value. */
export const lacks = (name: string) => (result: Result) =>
  result.seen.some(({ rawHeaders }) => valuesOf(rawHeaders, name).every((value) => value === ''));
/** Anything reached the upstream. */
export const reached = (result: Result) => result.seen.length > 0;
/** A header of alice’s request that only forward-auth may set. */
export const forged = (name: string): Probe => ({ withToken: true, lines: [`${name}: ${FORGER}`], passed: has(name) });
/** A target that the proxy itself should have cleaned or refused. */
export const ambiguous = (target: string): Probe => ({
  method: 'GET',
  target,
  lines: [],
  passed: ({ text }) => text.includes('ambiguous_target'),
});
/** A request without a credential that says it is another one. */
export const describedAs = (uri: string): Probe => ({
  lines: [...['X-Forwarded-', 'X-Original-'].flatMap((family) => [`${family}Uri: ${uri}`])],
  passed: reached,
});
/** The proof of the proxy, guessed. */
export const secret: Probe = {
  withToken: true,
  lines: [`X-Postern-Proxy-Secret: ${FORGER}`],
  passed: (result) => has('X-Postern-Proxy-Secret')(result) || lacks('X-Postern-Proxy-Secret')(result),
};
/** The identity named as hop-by-hop, so that it is removed on the way. */
export const hopByHop: Probe = {
  withToken: true,
  lines: ['Connection: X-Authenticated-User'],
  passed: lacks('X-Authenticated-User'),
};
/** A request without a credential, where the authorizer gives no allow. */
export const failing = (authorizer: Said): Probe => ({ lines: [], authorizer, passed: reached });

const CLIENT = '203.0.113.9';
/** An address that rules and limits would believe. */
export const clientAddress: Probe = {
  lines: ['X-Forwarded-For', 'X-Original-For', 'X-Envoy-External-Address'].map((name) => `${name}: ${CLIENT}`),
  logged: true,
  passed: ({ log }) => log.includes(CLIENT),
};
/** An authorizer that never answers. */
export const silence: Probe = { ...failing('nothing'), patience: 1_500, passed: ({ status }) => status === undefined };

/** What must not be in the question to the authorizer. */
export const askedWith = (name: string, lines: readonly string[] = []): Probe => ({
  ...failing(403),
  lines,
  passed: ({ asked }) => asked.some(({ rawHeaders }) => valuesOf(rawHeaders, name).length > 0),
});
/** The head of a WebSocket handshake. */
export const UPGRADE = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
