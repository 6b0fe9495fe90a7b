import Router from '@koa/router';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { activityPage, denialsPage } from './activity-pages.ts';
import { PAGES } from './frame.ts';
import { limitsPage } from './limits-page.ts';
import { type OwnForms, seeOther } from './own-form.ts';
import { explain, policyPage } from './policy-page.ts';
import { securityPage } from './security-page.ts';
import { overviewPage, serverPage } from './server-pages.ts';
import { END_SESSION, endSession, sessionsPage } from './sessions-page.ts';
import { SIGN_OUT, signOut } from './sign-out.ts';
import { END_STREAM, endStream, streamsPage } from './streams-page.ts';
import { APPROVE, decide, REJECT, toolsPage } from './tools-page.ts';

export interface PagesDeps {
  readonly forms: OwnForms;
  /** The API is on, which live updates come from. */
  readonly live: boolean;
  /** Forward-auth can be asked for its sessions. */
  readonly sessions: boolean;
}

/** The pages, each made of what the operations of the API answer. */
export function pagesRouter(catalog: Catalog, { forms, live, sessions }: PagesDeps): Router {
  const router = new Router();
  router.get(PAGES.overview.path, (ctx) => overviewPage(ctx, catalog));
  router.get(`${ADMIN}/servers/:server`, (ctx) => serverPage(ctx, catalog));
  router.get(PAGES.activity.path, (ctx) => activityPage(ctx, catalog, live));
  router.get(PAGES.denials.path, (ctx) => denialsPage(ctx, catalog));
  router.get(PAGES.streams.path, (ctx) => streamsPage(ctx, catalog, forms));
  // A browser comes back to these by their address: a person signed in anew, or loads the page again.
  for (const [form, page] of [
    [END_STREAM, PAGES.streams],
    [END_SESSION, PAGES.sessions],
    [APPROVE, PAGES.tools],
    [REJECT, PAGES.tools],
  ] as const)
    router.get(form, (ctx) => seeOther(ctx, page.path));
  router.post(END_STREAM, (ctx) => endStream(ctx, catalog, forms));
  router.get(PAGES.sessions.path, (ctx) => sessionsPage(ctx, catalog, forms, sessions));
  router.post(END_SESSION, (ctx) => endSession(ctx, catalog, forms));
  router.get(PAGES.policy.path, (ctx) => policyPage(ctx, catalog, forms));
  router.post(PAGES.policy.path, (ctx) => explain(ctx, catalog, forms));
  router.get(PAGES.tools.path, (ctx) => toolsPage(ctx, catalog, forms));
  router.post(APPROVE, (ctx) => decide(ctx, catalog.approveTool, forms));
  router.post(REJECT, (ctx) => decide(ctx, catalog.rejectTool, forms));
  router.get(SIGN_OUT, signOut);
  router.get(PAGES.limits.path, (ctx) => limitsPage(ctx, catalog));
  router.get(PAGES.security.path, (ctx) => securityPage(ctx, catalog));
  return router;
}
