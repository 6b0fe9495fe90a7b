import { html } from './html.ts';
import type { PageSite, RenderedPage } from './page.ts';
import type { ProblemName } from './visit.ts';

/** A request that got no further than the HTTP server. */
export interface UnreadableRequest {
  readonly status: 400 | 431 | 500;
  /** Undefined: no field of it was read. */
  readonly requestId: string | undefined;
}

const PROBLEMS = { 400: 'unreadable', 431: 'too_many_headers', 500: 'failed' } as const satisfies Record<
  UnreadableRequest['status'],
  ProblemName
>;

/** Says to a person what is wrong with what their browser sent. @param accepted `Accept-Language` */
export function unreadableRequestPage(
  site: PageSite,
  accepted: string,
  { status, requestId }: UnreadableRequest,
): RenderedPage {
  const say = site.say(accepted);
  const problem = PROBLEMS[status];
  const body = html`<p role="alert">${say(`${problem}.advice`, { help: site.help(say) })}</p>${requestId && html`<p class="quiet">${say('page.request', { id: requestId })}</p>`}`;
  return site.render({ title: say(`${problem}.title`), body, say, person: undefined }, { standalone: true });
}
