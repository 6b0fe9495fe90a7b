import type Koa from 'koa';
import type { z } from 'zod';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { ADMIN } from '../paths.ts';
import { PAGES, show } from './frame.ts';
import { type OwnForms, seeOther } from './own-form.ts';
import { badge, moment, name } from './parts.ts';

type Held = z.output<Catalog['listPendingTools']['description']['output']>['held'][number];

/** Where the forms of this page go. */
export const APPROVE = `${ADMIN}/tools/approve`;
export const REJECT = `${ADMIN}/tools/reject`;

export async function toolsPage(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  const operator = operatorOf(ctx);
  const [{ held }, { servers }] = await Promise.all([
    catalog.listPendingTools.run({}, operator),
    catalog.listServers.run({}, operator),
  ]);
  const pinned = servers.filter((server) => server.pinned).map((server) => server.name);
  const about =
    pinned.length === 0
      ? html`<p class="note">No server’s tools are pinned. <code>relay.pins.servers</code> names those whose tools must not change unseen.</p>`
      : html`<p>Pinned: ${pinned.join(', ')}. What is listed there anew or otherwise than before is hidden and refused until you approve it. What you reject stays so; the server’s next definition waits for you again.</p>`;
  const waiting = held.filter(({ rejectedAt }) => rejectedAt === undefined);
  const rejected = held.filter(({ rejectedAt }) => rejectedAt !== undefined);
  const shown = (tools: readonly Held[]) => tools.map((tool) => heldTool(tool, forms.token(ctx)));
  const body = html`${about}${waiting.length === 0 ? html`<div class="sheet"><p class="empty">No tool waits for you.</p></div>` : shown(waiting)}
${rejected.length === 0 ? undefined : html`<h2>Rejected</h2>${shown(rejected)}`}`;
  show(ctx, { title: 'Tools awaiting approval', page: 'tools', body, operator });
}

/** @param operation what the form decides */
export async function decide(
  ctx: Koa.Context,
  operation: Catalog['approveTool' | 'rejectTool'],
  forms: OwnForms,
): Promise<void> {
  const form = await forms.read(ctx);
  const wanted = { server: form.get('server'), tool: form.get('tool'), hash: form.get('hash') };
  await operation.run(wanted, operatorOf(ctx));
  seeOther(ctx, PAGES.tools.path);
}

/** The hash goes with the form: what is listed meanwhile is not what was looked at. */
function heldTool({ server, tool, hash, pinned, listedAt, rejectedAt, definition, changes }: Held, token: Html): Html {
  const since = rejectedAt === undefined ? undefined : html`, rejected ${moment(rejectedAt)}`;
  const reject = html`<button class="end" formaction="${REJECT}">Reject</button>`;
  return html`<section class="card" aria-label="${tool} of ${server}"><h2>${name(tool)}</h2>
<p>${badge('warn', pinned === undefined ? 'new' : 'changed')} at <a href="${ADMIN}/servers/${server}">${server}</a>, listed ${moment(listedAt)}${since}</p>
${pinned !== undefined && changes === undefined ? html`<p class="note warn">What was approved before has not been seen since this relay started, so that only the new definition can be shown.</p>` : undefined}
${definitionOf(changes, definition)}
<form method="post" action="${APPROVE}">${token}<input type="hidden" name="server" value="${server}"><input type="hidden" name="tool" value="${tool}"><input type="hidden" name="hash" value="${hash}"><button>Approve this definition</button> ${rejectedAt === undefined ? reject : undefined}</form></section>`;
}

const SIGNS = { same: '  ', added: '+ ', removed: '- ' } as const;

function definitionOf(changes: Held['changes'], definition: string | undefined): Html {
  if (changes !== undefined) {
    const lines = changes.flatMap(({ kind, text }) =>
      text
        .replace(/\n$/, '')
        .split('\n')
        .map((line) => lineOf(kind, line)),
    );
    return html`<div class="diff" role="group" aria-label="What changed">${lines}</div>`;
  }
  if (definition === undefined)
    return html`<p class="note warn">Another replica has seen this definition. Look there, or let a client list the tools here.</p>`;
  const lines = pretty(definition)
    .split('\n')
    .map((line) => lineOf('added', line));
  return html`<div class="diff" role="group" aria-label="The new definition">${lines}</div>`;
}

function lineOf(kind: keyof typeof SIGNS, line: string): Html {
  return html`<div class="${kind}">${SIGNS[kind]}${line}</div>`;
}

function pretty(definition: string): string {
  try {
    return JSON.stringify(JSON.parse(definition), null, 2);
  } catch {
    return definition;
  }
}
