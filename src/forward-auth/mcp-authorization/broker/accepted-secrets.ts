import type Provider from 'oidc-provider';
import type { BrokerConfig } from '../../../platform/config/schema.ts';
import { createSecretCheck } from '../../../platform/secret-check.ts';

/** oidc-provider knows one secret of a client and one initial access token; while they are rotated there are several. */
export function acceptSeveralSecrets(provider: Provider, { clients, registration }: BrokerConfig): void {
  const checks = new Map(clients.map(({ id, secret }) => [id, secret && createSecretCheck(secret)]));
  const { prototype } = provider.Client;
  const compare = prototype.compareClientSecret;
  prototype.compareClientSecret = function (this: typeof prototype, given: string) {
    const check = checks.get(this.clientId);
    return check === undefined ? compare.call(this, given) : check(given);
  };
  const [known, ...others] = registration.initialAccessToken ?? [];
  if (others.length === 0) return;
  const isOther = createSecretCheck(others);
  provider.use((ctx, next) => {
    const { headers } = ctx.req;
    if (isOther(/^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1])) headers.authorization = `Bearer ${known}`;
    return next();
  });
}
