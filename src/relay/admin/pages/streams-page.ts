import type Koa from 'koa';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { PAGES, show } from './frame.ts';
import { type OwnForms, seeOther } from './own-form.ts';
import { moment, table, who, whoText } from './parts.ts';

/** Where the forms of this page go. */
export const END_STREAM = `${ADMIN}/streams/end`;

export async function streamsPage(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  const operator = operatorOf(ctx);
  const { count, streams } = await catalog.listStreams.run({}, operator);
  const token = forms.token(ctx);
  const list = table(
    'Open streams, the oldest first',
    [
      { head: 'User', kind: 'name', cell: (stream) => who(stream) ?? 'anonymous' },
      { head: 'Server', cell: ({ server }) => server },
      { head: 'Transport', cell: ({ transport }) => transport },
      { head: 'Open since', cell: ({ since }) => moment(since) },
      {
        head: 'End it',
        cell: (stream) => endForm(stream.id, `End the stream of ${whoText(stream)} at ${stream.server}`, token),
      },
    ],
    streams,
    { empty: 'Nothing is open at this replica.' },
  );
  const more =
    count > streams.length
      ? html`<p class="quiet">${count} are open; the oldest ${streams.length} are shown.</p>`
      : undefined;
  const lead =
    'Streams and connections of this replica. A client that is ended may come again, as long as they are let in: end their session to keep them out.';
  show(ctx, { title: 'Open streams', page: 'streams', lead, body: html`${list}${more}`, operator });
}

export async function endStream(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  const form = await forms.read(ctx);
  await catalog.endStream.run({ id: form.get('id') }, operatorOf(ctx));
  seeOther(ctx, PAGES.streams.path);
}

function endForm(id: string, label: string, token: Html): Html {
  return html`<form class="inline" method="post" action="${END_STREAM}">${token}<input type="hidden" name="id" value="${id}"><button class="end" aria-label="${label}">End</button></form>`;
}
