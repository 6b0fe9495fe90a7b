import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type JWK, type JWTPayload, SignJWT } from 'jose';
import { rsaKeysSync } from '../../support/rsa-keys.ts';

/** A pair of keys under an id. */
export interface NamedKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function rsaKey(kid: string, alg = 'RS256'): NamedKey {
  return { kid, alg, ...rsaKeysSync() };
}

export function publicJwk(key: NamedKey): JWK {
  return { ...(key.publicKey.export({ format: 'jwk' }) as JWK), kid: key.kid, alg: key.alg, use: 'sig' };
}

/** A real discovery document and key set over HTTP, with keys that a test can change. */
export interface KeyServer {
  readonly issuer: string;
  keys: JWK[];
  /** The issuer that the discovery document claims. */
  claimedIssuer: string;
  /** Paths asked for so far. */
  readonly asked: string[];
  sign(key: NamedKey, claims: JWTPayload, header?: Record<string, unknown>): Promise<string>;
  stop(): Promise<void>;
  restart(): Promise<void>;
}

export async function startKeyServer(keys: readonly NamedKey[]): Promise<KeyServer> {
  let self: KeyServer;
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    self.asked.push(path);
    const document =
      path === '/jwks'
        ? { keys: self.keys }
        : path === '/.well-known/openid-configuration'
          ? { issuer: self.claimedIssuer, jwks_uri: `${self.issuer}/jwks` }
          : undefined;
    response.writeHead(document === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(document ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  self = {
    issuer,
    keys: keys.map(publicJwk),
    claimedIssuer: issuer,
    asked: [],
    sign: (key, claims, header = {}) =>
      new SignJWT({ iss: issuer, sub: 'alice', scope: 'mcp:use', groups: ['engineering'], ...claims })
        .setProtectedHeader({ alg: key.alg, typ: 'at+jwt', kid: key.kid, ...header })
        .setExpirationTime(claims.exp ?? '5m')
        .sign(key.privateKey),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    restart: async () => {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
  return self;
}
