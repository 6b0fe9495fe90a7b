import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from '@koa/router';
import type { JWK } from 'jose';
import Koa from 'koa';
import { DependencyUnavailable } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';
import { showNotFound } from '../platform/pages/visit.ts';
import type { Policy } from './decision/decide.ts';
import { SERVER_METADATA_PATHS } from './decision/oauth-endpoints.ts';
import { KEYS_PATH, METADATA_PATH } from './decision/own-endpoints.ts';
import { Ambiguous, canonicalHost } from './decision/target.ts';
import { protectedResourceMetadata } from './mcp-authorization/protected-resource-metadata.ts';
import type { ProviderMetadata } from './mcp-authorization/provider-metadata.ts';

export interface PublicEndpoints extends Pick<Policy, 'resources' | 'rules' | 'readsBodies'> {
  readonly issuers: readonly string[];
  readonly publishedKeys: () => JWK[];
  /** Signing in and out; passes on what is not its own. */
  readonly signIn: Koa.Middleware;
  /** The broker's addresses, where it is on. */
  readonly broker: Koa.Middleware | undefined;
  /** That of a provider, to be handed on; undefined: of none. */
  readonly providerMetadata: Pick<ProviderMetadata, 'read'> | undefined;
  readonly log: Logger;
}

/** What everybody may read, through the proxy or directly: discovery documents and public keys. */
export function createPublicEndpoints(
  context: PublicEndpoints,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const router = new Router();
  const metadata = (ctx: Koa.Context) => {
    const found = protectedResourceMetadata(ctx.path, context);
    if (found === undefined) return notFound(ctx);
    ctx.set('Cache-Control', 'public, max-age=300');
    ctx.body = found;
  };
  for (const path of atOrBelow(METADATA_PATH)) {
    router.get(path, metadata);
    router.options(path, preflight);
  }
  const { providerMetadata } = context;
  if (providerMetadata !== undefined) handOn(router, providerMetadata, context.resources);
  router.options(KEYS_PATH, preflight);
  router.get(KEYS_PATH, (ctx) => {
    ctx.set('Cache-Control', 'public, max-age=300');
    ctx.type = 'application/jwk-set+json';
    ctx.body = JSON.stringify({ keys: context.publishedKeys() });
  });

  const app = new Koa();
  app.on('error', (error) => context.log.error({ error }, 'a public endpoint failed'));
  app.use(context.signIn);
  app.use(atPublicUrl(context.resources));
  if (context.broker !== undefined) app.use(context.broker);
  app.use(cors);
  app.use(router.routes());
  app.use(notFound);
  return app.callback();
}

/**
 * A proxy may send these paths of every host here. What is said about one resource must not be said at another
 * (RFC 9728 §3.3, RFC 8414 §3.3). Without a forwarded host, or with a list of them, somebody asks by another way.
 */
function atPublicUrl(resources: Policy['resources']): Koa.Middleware {
  return async (ctx, next) => {
    const forwarded = ctx.get('X-Forwarded-Host');
    const scheme = ctx.get('X-Forwarded-Proto') === 'https' ? 'https' : 'http';
    const host = forwarded === '' || forwarded.includes(',') ? undefined : canonicalHost(forwarded, scheme);
    if (host !== undefined && (host instanceof Ambiguous || !resources.isAt(host))) return notFound(ctx);
    await next();
  };
}

/** At the well-known paths, and with the path of an MCP server inserted (RFC 8414 §3.1). */
function handOn(router: Router, metadata: Pick<ProviderMetadata, 'read'>, resources: Policy['resources']): void {
  for (const base of SERVER_METADATA_PATHS)
    for (const path of atOrBelow(base)) {
      router.options(path, preflight);
      router.get(path, async (ctx) => {
        const inserted = ctx.path.slice(base.length);
        if (inserted !== '' && resources.describedAt(inserted) === undefined) return notFound(ctx);
        try {
          ctx.body = await metadata.read();
          ctx.set('Cache-Control', 'public, max-age=300');
        } catch (error) {
          if (!(error instanceof DependencyUnavailable)) throw error;
          ctx.status = 503;
          ctx.set('Retry-After', '5');
          ctx.body = { error: 'temporarily_unavailable', error_description: error.message };
        }
      });
    }
}

function atOrBelow(path: string): Array<string | RegExp> {
  return [path, new RegExp(`^${path.replaceAll('.', '\\.')}/.*$`)];
}

/** Browser-based MCP clients read these from another origin; nothing here depends on who asks. */
async function cors(ctx: Koa.Context, next: Koa.Next): Promise<void> {
  ctx.set('Access-Control-Allow-Origin', '*');
  await next();
}

function preflight(ctx: Koa.Context): void {
  ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, OPTIONS');
  ctx.set('Access-Control-Allow-Headers', '*');
  ctx.set('Access-Control-Max-Age', '600');
  ctx.status = 204;
}

/** The middleware of signing in began the visit. */
function notFound(ctx: Koa.Context): void {
  if (showNotFound(ctx)) return;
  ctx.status = 404;
  ctx.body = { error: 'not_found', error_description: 'nothing is here' };
}
