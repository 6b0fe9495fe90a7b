import assert from 'node:assert/strict';
import type { Visited } from '../../../support/http-person.ts';

/** Where the way on of our page of a refusal leads. */
export function onwards({ text }: Pick<Visited, 'text'>): URL {
  const href = /class="button secondary" rel="noreferrer" href="([^"]+)"/.exec(text)?.[1];
  assert.ok(href, text);
  return new URL(href.replaceAll(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code))));
}
