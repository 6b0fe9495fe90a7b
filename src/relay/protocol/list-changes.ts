/** Lists whose changes a server may tell, by the capability of each. */
export const CHANGING_LISTS = ['tools', 'prompts', 'resources'] as const;
type ChangingList = (typeof CHANGING_LISTS)[number];

/** Which of them a stateless client wants to hear of (2026-07-28, subscriptions). */
export type ListWishes = Readonly<Partial<Record<`${ChangingList}ListChanged`, boolean>>>;

/** @param method of a notification @returns the list that has changed; undefined: it says nothing of that */
export function changedList(method: unknown): ChangingList | undefined {
  return CHANGING_LISTS.find((list) => method === `notifications/${list}/list_changed`);
}

export function wishes(holds: (list: ChangingList) => boolean): ListWishes {
  return Object.fromEntries(CHANGING_LISTS.filter(holds).map((list) => [`${list}ListChanged`, true]));
}

/** @param method of a notification */
export function isWished(wished: ListWishes, method: unknown): boolean {
  const list = changedList(method);
  return list !== undefined && wished[`${list}ListChanged`] === true;
}
