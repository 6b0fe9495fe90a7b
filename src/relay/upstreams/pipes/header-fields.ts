import type { Fields } from '../../credentials/credential.ts';

/** The last of a name counts: what is added later was meant to overwrite. @param fields names and values in turn */
export function paired(fields: Fields): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let index = 0; index < fields.length; index += 2)
    headers[(fields[index] as string).toLowerCase()] = fields[index + 1] as string;
  return headers;
}
