import type { Refusal } from '../refusal.ts';
import type { HeaderSource } from './outgoing-headers.ts';

/** Field content (RFC 9110 §5.5): visible characters, spaces, tabs and bytes above ASCII. */
const FIELD_CONTENT = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Headers of the client that go on under their own names: never under another one, so that no header of a client can become
 * a credential.
 *
 * @param names lower case, already judged by the configuration
 * @param owned lower-case names that the relay sets itself for this server
 * @param maxValue bytes of one value
 */
export function passThrough(names: readonly string[], owned: ReadonlySet<string>, maxValue: number): HeaderSource {
  const passed = new Set(names.filter((name) => !owned.has(name)));
  return ({ caller }) => {
    const { rawHeaders = [] } = caller ?? {};
    const hopByHop = connectionOptions(rawHeaders);
    const seen = new Set<string>();
    const fields: string[] = [];
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = (rawHeaders[index] as string).toLowerCase();
      if (!passed.has(name) || hopByHop.has(name)) continue;
      const value = rawHeaders[index + 1] as string;
      // Whoever reads the first and whoever reads the last would see two different requests.
      if (seen.has(name))
        return { status: 400, reason: 'duplicate_header', message: `the header ${name} came twice` } satisfies Refusal;
      if (value.length > maxValue || !FIELD_CONTENT.test(value)) return badValue(name, maxValue);
      seen.add(name);
      fields.push(name, value);
    }
    return fields;
  };
}

/** Names that belong to this one connection (RFC 9110 §7.6.1), lower case. */
function connectionOptions(rawHeaders: readonly string[]): ReadonlySet<string> {
  const options = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2)
    if ((rawHeaders[index] as string).toLowerCase() === 'connection')
      for (const option of (rawHeaders[index + 1] as string).split(',')) options.add(option.trim().toLowerCase());
  return options;
}

function badValue(name: string, maxValue: number): Refusal {
  return {
    status: 400,
    reason: 'passthrough_value',
    message: `the header ${name} is longer than ${maxValue} bytes or holds control characters`,
    fix: 'raise relay.passthrough.maxValue if values may be so long',
  };
}
