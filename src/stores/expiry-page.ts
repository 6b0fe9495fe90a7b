/** Where a page of records ends, which are ordered by expiry and key. */
export interface PagePlace {
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
  readonly key: string;
}

/** @param after `next` of the page before; undefined, or nothing that was one: the first page */
export function pagePlace(after: string | undefined): PagePlace {
  const [, expiresAt = '0', key = ''] = /^(\d{1,15})\.(.{1,255})$/.exec(after ?? '') ?? [];
  return { expiresAt: Number(expiresAt), key };
}

/** By the key and not by a count: the records before may have ended meanwhile. */
export function isAfter({ expiresAt, key }: PagePlace, place: PagePlace): boolean {
  return expiresAt > place.expiresAt || (expiresAt === place.expiresAt && key > place.key);
}

/** @param page in order @returns undefined where it was the last one */
export function nextPage(page: readonly PagePlace[], limit: number): string | undefined {
  const last = page.at(-1);
  return last === undefined || page.length < limit ? undefined : `${last.expiresAt}.${last.key}`;
}
