import type Koa from 'koa';
import type { z } from 'zod';
import { PosternError } from '../../../platform/errors.ts';
import { isRecord } from '../../../platform/is-record.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import { operatorOf } from '../access/operator.ts';
import type { Catalog } from '../operations/catalog.ts';
import { PAGES, show } from './frame.ts';
import type { OwnForms } from './own-form.ts';
import { badge, detail, input, ruleLink, select, words } from './parts.ts';

type Policy = z.output<Catalog['getPolicy']['description']['output']>;
type Explained = z.output<Catalog['explainPolicy']['description']['output']>;

const METHODS = [
  'tools/call',
  'prompts/get',
  'resources/read',
  'tools/list',
  'prompts/list',
  'resources/list',
  'initialize',
];
const CREDENTIALS = ['session', 'bearer', 'api-key', 'mtls'];

export async function policyPage(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  await showPolicy(ctx, catalog, forms, new URLSearchParams(), undefined);
}

export async function explain(ctx: Koa.Context, catalog: Catalog, forms: OwnForms): Promise<void> {
  const form = await forms.read(ctx);
  await showPolicy(ctx, catalog, forms, form, await catalog.explainPolicy.run(questionOf(form), operatorOf(ctx)));
}

async function showPolicy(
  ctx: Koa.Context,
  catalog: Catalog,
  forms: OwnForms,
  asked: URLSearchParams,
  explained: Explained | undefined,
): Promise<void> {
  const operator = operatorOf(ctx);
  const [policy, { servers }] = await Promise.all([
    catalog.getPolicy.run({}, operator),
    catalog.listServers.run({}, operator),
  ]);
  const value = (field: string) => asked.get(field) ?? undefined;
  const options = (values: readonly string[]) => values.map((text) => ({ value: text, text }));
  const body = html`<section class="card" aria-labelledby="explain"><h2 id="explain">Who may do what?</h2>
${explained === undefined ? undefined : answerOf(explained)}
<form class="fields" method="post" action="${PAGES.policy.path}">${forms.token(ctx)}
${input('User', 'user', value('user'), '<issuer>#<subject> or subject; empty: anonymous')}${input('Groups', 'groups', value('groups'), 'separated by commas')}${input('Scopes', 'scopes', value('scopes'), 'separated by spaces')}
${input('Issuer', 'issuer', value('issuer'))}${select('Signed in by', 'credential', options(CREDENTIALS), value('credential') ?? 'session')}${select('Server', 'server', options(servers.map(({ name }) => name)), value('server') ?? servers[0]?.name, { required: true })}
${select('Method', 'method', options(METHODS), value('method') ?? 'tools/call', { required: true })}${input('Tool, prompt or resource', 'object', value('object'))}
<label class="wide"><span>Arguments of the tool, as JSON</span><textarea name="arguments" rows="3" spellcheck="false">${value('arguments') ?? ''}</textarea></label>
<p><button>Explain</button></p></form></section>
<h2>Rules, the first that matches holds</h2>${rulesOf(policy)}`;
  show(ctx, { title: 'Policy', page: 'policy', body, operator });
}

function answerOf({ allowed, rule, denied, wouldDeny, heldBack }: Explained): Html {
  const by =
    rule === undefined
      ? html`there is no policy: every user who gets in may use everything`
      : html`by ${ruleLink(rule)}`;
  const why = denied && html`<br>${denied.permission}: ${words(denied.reason)}.${causeOf(denied)}`;
  const dry = wouldDeny && html`<br>In dry run: ${ruleLink(wouldDeny.rule)} would deny it.${causeOf(wouldDeny)}`;
  const held = heldBack ? html`<br>The tool is held back, and refused until its definition is approved.` : undefined;
  return html`<p class="note ${allowed && !heldBack ? 'good' : 'bad'}" role="status"><strong>${allowed ? 'Allowed' : 'Denied'}</strong>: ${by}${why}${dry}${held}</p>`;
}

function causeOf({ needs, has, fix }: NonNullable<Explained['denied']>): Html {
  return html`${detail('needs', needs)}${detail('has', has)}${detail('fix', fix)}`;
}

function rulesOf({ configured, rules, readOnly, dryRun, ...policy }: Policy): Html {
  if (!configured)
    return html`<p class="note warn">There is no <code>relay.policy</code>: every user who gets in may use everything.</p>`;
  const list = rules.map(
    ({ name, effect, dryRun: dry, when }) =>
      html`<li class="card" id="${name}"><p>${badge(effect === 'allow' ? 'good' : 'bad', effect)} ${dry ? badge('warn', 'dry run') : undefined} <code>${name}</code></p><dl class="facts">${conditions(when)}</dl></li>`,
  );
  return html`${dryRun ? html`<p class="note warn">The whole policy is in dry run: nothing is refused.</p>` : undefined}
${readOnly.length === 0 ? undefined : html`<p>Only read-only tools may be called at ${readOnly.join(', ')}.</p>`}
<ol class="rules">${list}</ol><p>Where no rule matches: ${badge(policy.default === 'allow' ? 'good' : 'bad', policy.default ?? 'deny')}</p>`;
}

function conditions({ who, ...when }: Readonly<Record<string, unknown>>): Html[] {
  const told = [...Object.entries(isRecord(who) ? who : {}), ...Object.entries(when)].filter(isCondition);
  if (told.length === 0) return [html`<dt>When</dt><dd>always, for everybody</dd>`];
  return told.map(([key, value]) => html`<dt>${key}</dt><dd><code>${textOf(value)}</code></dd>`);
}

/** What is not said, or holds for everything, is no condition. */
function isCondition([, value]: readonly [string, unknown]): boolean {
  return value !== false && JSON.stringify(value) !== '["*"]';
}

function textOf(value: unknown): string {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
    ? value.join(', ')
    : JSON.stringify(value);
}

/** A form has text only; an empty field says nothing. */
function questionOf(form: URLSearchParams): Record<string, unknown> {
  const text = (name: string) => (form.get(name) ?? '').trim();
  const list = (name: string, separator: RegExp) =>
    text(name)
      .split(separator)
      .filter((item) => item !== '');
  const optional = {
    object: text('object'),
    issuer: text('issuer'),
    credential: text('credential'),
    method: text('method'),
  };
  return {
    user: text('user'),
    server: text('server'),
    groups: list('groups', /\s*,\s*/),
    scopes: list('scopes', /\s+/),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== '')),
    ...(text('arguments') === '' ? {} : { arguments: json(text('arguments')) }),
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PosternError('invalid_request', 'the arguments must be a JSON object', { status: 400, expose: true });
  }
}
