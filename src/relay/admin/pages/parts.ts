import type { UserFields } from '../../../identity/user.ts';
import { type Html, html } from '../../../platform/pages/html.ts';
import { ADMIN } from '../paths.ts';

type Cell = Html | string | number | undefined;

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => Cell;
  /** `name`: heads the row; `long`: somebody else chose it, and it may have no place to break. */
  readonly kind?: 'name' | 'number' | 'long';
}

/** Roles are said, because on a narrow screen the stylesheet makes blocks of the cells and browsers then forget what they are. */
export function table<Row>(
  caption: string,
  columns: ReadonlyArray<Column<Row>>,
  rows: readonly Row[],
  { empty, live }: { readonly empty: string; readonly live?: Html },
): Html {
  if (rows.length === 0 && live === undefined) return html`<div class="sheet"><p class="empty">${empty}</p></div>`;
  const heads = columns.map(({ head, kind }) =>
    kind === 'number'
      ? html`<th scope="col" role="columnheader" class="number">${head}</th>`
      : html`<th scope="col" role="columnheader">${head}</th>`,
  );
  const lines = rows.map((row) => html`<tr role="row">${columns.map((column) => cellOf(column, row))}</tr>`);
  const none = html`<tr role="row" data-empty><td role="cell" colspan="${columns.length}" data-label="">${empty}</td></tr>`;
  return html`<div class="sheet"><table role="table"><caption>${caption}</caption><thead role="rowgroup"><tr role="row">${heads}</tr></thead>
<tbody role="rowgroup"${live}>${lines.length === 0 ? none : lines}</tbody></table></div>`;
}

function cellOf<Row>({ head, cell, kind }: Column<Row>, row: Row): Html {
  const value = cell(row);
  if (kind === 'name') return html`<th scope="row" role="rowheader">${value}</th>`;
  if (kind === 'number') return html`<td role="cell" class="number" data-label="${head}"><span>${value}</span></td>`;
  return value === undefined || value === ''
    ? html`<td role="cell" class="blank" data-label="${head}"></td>`
    : html`<td role="cell" class="${kind === 'long' ? kind : 'short'}" data-label="${head}">${value}</td>`;
}

export function badge(kind: 'good' | 'bad' | 'warn' | 'none' | 'plain', text: string): Html {
  return html`<span class="badge ${kind}">${text}</span>`;
}

export function name(text: string | undefined): Html | undefined {
  return text === undefined || text === '' ? undefined : html`<span class="name">${text}</span>`;
}

/** Day and time of a column that says UTC. @param iso ISO 8601, UTC */
export function clock(iso: string): Html {
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}</time>`;
}

export function moment(iso: string): Html {
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`;
}

/** @param milliseconds undefined: not measured yet */
export function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '–';
  return milliseconds < 1_000 ? `${Math.round(milliseconds * 10) / 10} ms` : `${Math.round(milliseconds / 100) / 10} s`;
}

/** The fields of a user, as far as they are known. */
type Named = { readonly [field in keyof UserFields]?: string | undefined };

/** A user by what people call them, with who that is; undefined: nobody is known. */
export function who({ user = '', username, email, name }: Named): Html | undefined {
  const called = name || username || email;
  if (user === '') return undefined;
  return called === undefined ? html`${user}` : html`<span>${called} <span class="user">${user}</span></span>`;
}

/** The same as one text, for a label. */
export function whoText({ user = '', username, email, name }: Named): string {
  return name || username || email || user || 'anonymous';
}

export function words(code: string): string {
  return code.replaceAll('_', ' ');
}

export interface Choice {
  readonly value: string;
  readonly text: string;
}

/** @param chosen absent: the choice whose value is empty, or the first */
export function select(
  label: string,
  field: string,
  choices: readonly Choice[],
  chosen: string | undefined,
  { required = false }: { readonly required?: boolean } = {},
): Html {
  const options = choices.map(({ value, text }) =>
    value === (chosen ?? '')
      ? html`<option value="${value}" selected>${text}</option>`
      : html`<option value="${value}">${text}</option>`,
  );
  const [mark, attribute] = required ? [html` <small>(required)</small>`, html` required`] : [];
  return html`<label><span>${label}${mark}</span><select name="${field}"${attribute}>${options}</select></label>`;
}

export function input(label: string, field: string, value: string | undefined, hint = ''): Html {
  return html`<label><span>${label}</span><input name="${field}" value="${value ?? ''}" placeholder="${hint}" autocomplete="off" spellcheck="false"></label>`;
}

/** A further line of a cell or a note. */
export function detail(label: string, text: string | undefined): Html | undefined {
  return text ? html`<span class="detail">${label} ${text}</span>` : undefined;
}

/** Where the policy page shows a rule. */
export function ruleLink(rule: string): Html {
  return html`<a href="${ADMIN}/policy#${rule}"><code>${rule}</code></a>`;
}
