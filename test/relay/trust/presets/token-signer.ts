import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';
import { rsaKeysSync } from '../../../support/rsa-keys.ts';
import { onEnd } from '../../support/relay.ts';

export type Algorithm = 'RS256' | 'ES256';
export type Json = Record<string, unknown>;

export interface Keys {
  readonly alg: Algorithm;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function makeKeys(alg: Algorithm, kid: string = randomUUID()): Keys {
  const pair = alg === 'RS256' ? rsaKeysSync() : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { alg, kid, privateKey: pair.privateKey, publicKey: pair.publicKey };
}

export function publicJwk({ publicKey, kid, alg }: Keys): JWK {
  return { ...(publicKey.export({ format: 'jwk' }) as JWK), kid, alg, use: 'sig' };
}

function encode(value: object, padded: boolean): string {
  const text = Buffer.from(JSON.stringify(value)).toString('base64url');
  return padded ? text.padEnd(Math.ceil(text.length / 4) * 4, '=') : text;
}

/** A compact JWS, by node:crypto alone, so that the library under test does not judge its own work. */
export function signToken(keys: Keys, claims: Json, header: Json = {}, padded = false): string {
  const head = { alg: keys.alg, kid: keys.kid, typ: 'JWT', ...header };
  const input = `${encode(head, padded)}.${encode(claims, padded)}`;
  const signature =
    keys.alg === 'ES256'
      ? sign('sha256', Buffer.from(input), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' })
      : sign('sha256', Buffer.from(input), keys.privateKey);
  const text = signature.toString('base64url');
  return `${input}.${padded ? text.padEnd(Math.ceil(text.length / 4) * 4, '=') : text}`;
}

/** What a source of keys in the hands of the test answers, by path; undefined: it is away. */
export interface KeyServer {
  readonly url: string;
  readonly asked: string[];
  answer: (path: string) => string | undefined;
}

export async function keyServer(answer: KeyServer['answer']): Promise<KeyServer> {
  const state: { answer: KeyServer['answer']; asked: string[] } = { answer, asked: [] };
  const server = createServer((request, response) => {
    state.asked.push(request.url ?? '');
    const text = state.answer(request.url ?? '');
    response.statusCode = text === undefined ? 500 : text === '' ? 404 : 200;
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(state, { url });
}

export function jwks(...keys: readonly Keys[]): string {
  return JSON.stringify({ keys: keys.map(publicJwk) });
}

export function seconds(ahead: number): number {
  return Math.floor(Date.now() / 1000) + ahead;
}
