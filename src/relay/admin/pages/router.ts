import Router from '@koa/router';
import type { FormTokens } from '../access/form-token.ts';
import type { SameOrigin } from '../access/same-origin.ts';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { activityPage, denialsPage } from './activity-pages.ts';
import { PAGES } from './frame.ts';
import { overviewPage, serverPage } from './server-pages.ts';

export interface PagesDeps {
  readonly origin: SameOrigin;
  readonly tokens: FormTokens;
  /** The API is on, which live updates come from. */
  readonly live: boolean;
}

/** The pages, each made of what the operations of the API answer. */
export function pagesRouter(catalog: Catalog, { live }: PagesDeps): Router {
  const router = new Router();
  router.get(PAGES.overview.path, (ctx) => overviewPage(ctx, catalog));
  router.get(`${ADMIN}/servers/:server`, (ctx) => serverPage(ctx, catalog));
  router.get(PAGES.activity.path, (ctx) => activityPage(ctx, catalog, live));
  router.get(PAGES.denials.path, (ctx) => denialsPage(ctx, catalog));
  return router;
}
