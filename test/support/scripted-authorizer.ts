import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCheckEndpoint } from '../../src/forward-auth/check/check.ts';
import { type Allow, type Decision, deny } from '../../src/forward-auth/decision/decision.ts';
import type { RunCheck } from '../../src/forward-auth/decision/proxy-check.ts';
import { CADDY } from '../../src/forward-auth/proxies/caddy.ts';
import { ENVOY } from '../../src/forward-auth/proxies/envoy.ts';
import { startExtAuthz } from '../../src/forward-auth/proxies/ext-authz/server.ts';
import { NGINX } from '../../src/forward-auth/proxies/nginx.ts';
import { allowHeaders, renderRefusal, withCookies } from '../../src/forward-auth/proxies/render.ts';
import { TRAEFIK } from '../../src/forward-auth/proxies/traefik.ts';
import { PRESET_HEADERS, PresetHeaders, type PresetName } from '../../src/identity/presets.ts';
import { AddressList } from '../../src/platform/addresses.ts';
import { createLogger } from '../../src/platform/log.ts';

const presets = new PresetHeaders(Object.keys(PRESET_HEADERS) as PresetName[]);
const headersOf = ({ identity, emit }: Allow) => [
  ...allowHeaders(identity, 'assertion'),
  ...presets.write(identity, emit),
];

/** Forward-auth's own adapters and rendering, with decisions that the test wrote down, by path. */
export async function startScriptedAuthorizer(
  script: ReadonlyMap<string, Decision>,
  ports: { http: number; grpc: number },
) {
  const runCheck: RunCheck = (check) => {
    const read = check.read();
    const decision = 'kind' in read ? read : (script.get(read.path) ?? deny(403, 'no_rule', 'not in the script'));
    const answer =
      decision.kind === 'allow'
        ? { status: 200, headers: withCookies(headersOf(decision), decision), body: '' }
        : renderRefusal(decision, check.requestId());
    return { decision, answer };
  };
  const trusted = new AddressList(['127.0.0.1']);
  const checks = [TRAEFIK, CADDY, NGINX, ENVOY].map((adapter) => ({
    prefix: `/verify/${adapter.name}`,
    check: createCheckEndpoint(adapter, { trusted, trustedHops: 1, log: createLogger('auth', 'silent') }, runCheck),
  }));
  const server = createServer((request, response) => {
    const found = checks.find(({ prefix }) => request.url?.startsWith(prefix));
    if (found !== undefined) return found.check(request, response);
    return response.end('{"keys":[]}');
  });
  await new Promise<void>((resolve) => server.listen(ports.http, '127.0.0.1', resolve));
  const grpc = await startExtAuthz({
    listen: { host: '127.0.0.1', port: ports.grpc },
    current: () => ({ trusted, runCheck }),
    log: createLogger('forward-auth', 'silent'),
    maxMessage: 65_536,
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      await grpc.close(500);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
