import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT } from 'jose';
import { rsaKeys } from '../rsa-keys.ts';
import type { CopiedDeploy } from './copied-deploy.ts';
import { replaceIn } from './folder.ts';

/** A team of Cloudflare Access with keys of the tests: there is no account. */
export interface AccessTeam {
  /** Has deploy/cloudflare-access believe this team. */
  adopt(copy: CopiedDeploy): Promise<void>;
  /** What Access sends with alice's requests to this application. */
  assertion(audience: string): Promise<string>;
  stop(): void;
}

export async function startAccessTeam(): Promise<AccessTeam> {
  const { privateKey, publicKey } = await rsaKeys();
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'access', alg: 'RS256' }] });
  const server = createServer((request, response) =>
    request.url === '/cdn-cgi/access/certs' ? response.end(keys) : response.writeHead(404).end(),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    adopt: ({ folder }) => replaceIn(`${folder}/postern.yaml`, 'https://example.cloudflareaccess.com', issuer),
    assertion: (audience) =>
      new SignJWT({ email: 'alice@example.com' })
        .setProtectedHeader({ alg: 'RS256', kid: 'access' })
        .setIssuer(issuer)
        .setAudience([audience])
        .setSubject('alice')
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey),
    stop: () => void server.close(),
  };
}
