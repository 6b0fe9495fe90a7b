import { randomBytes } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { stringify } from 'yaml';
import { type Command, optionalText, UsageError } from './command.ts';

export const secrets: Command = {
  summary: 'make the secrets and keys that a production set-up needs',
  usage: 'postern secrets [--format env|yaml]',
  help: `Prints new ones each time: the secret that the proxy and the relay share, the keys that seal MCP session ids and
browser sessions, the key that signs assertions, the key that seals what the watch keeps in Redis, and the operator's tokens. Standard output holds nothing else: postern secrets > postern.env

  --format env|yaml   environment lines (default), or the part of postern.yaml`,
  options: { format: { type: 'string' } },
  positionals: [0, 0],
  async run(line, terminal) {
    const format = optionalText(line, 'format') ?? 'env';
    if (format !== 'env' && format !== 'yaml') throw new UsageError(`--format is env or yaml, not ${format}`);
    const proxySecret = randomBytes(32).toString('base64url');
    const sessionKey = randomBytes(32).toString('base64url');
    const sessionsKey = randomBytes(32).toString('base64url');
    const watchKey = randomBytes(32).toString('base64url');
    const operatorToken = randomBytes(32).toString('base64url');
    const relayToken = randomBytes(32).toString('base64url');
    const keys = JSON.stringify({ keys: [await assertionKey()] });
    terminal.print(
      format === 'env'
        ? [
            '# Keep these out of version control. The proxy sends the first as X-Postern-Proxy-Secret.',
            `POSTERN_RELAY_TRUST_SECRET=${proxySecret}`,
            `POSTERN_RELAY_SESSION_KEY=${sessionKey}`,
            `POSTERN_AUTH_ASSERTION_KEYS='${keys}'`,
            `POSTERN_AUTH_SESSIONS_KEYS=${sessionsKey}`,
            `POSTERN_WATCH_KEY=${watchKey}`,
            `POSTERN_AUTH_OPERATOR_TOKEN=${operatorToken}`,
            `POSTERN_RELAY_OPERATOR_TOKEN=${relayToken}`,
          ].join('\n')
        : stringify(
            {
              auth: { assertion: { keys }, sessions: { keys: sessionsKey }, operatorToken },
              relay: { trust: { secret: proxySecret }, sessionKey, operatorToken: relayToken },
              watch: { key: watchKey },
            },
            { lineWidth: 0 },
          ).trimEnd(),
    );
    return 0;
  },
};

/** A private ES256 key with the thumbprint (RFC 7638) as its id. */
async function assertionKey(): Promise<object> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' };
}
