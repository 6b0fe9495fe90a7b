import { z } from 'zod';
import { parseRange } from '../addresses.ts';
import { parseDuration, parseSize } from '../units.ts';
import { parseAddress } from './host-and-port.ts';

/** Marks a key that a process reads at its start only: a reload says that it waits. */
export const AT_START = { restart: true } as const;
/** As above, for a key of one process that the other reads as well. */
export const AT_START_OF_BOTH = { restart: 'both' } as const;

/** Marks a value that may come from a file (`…_FILE`) and is never printed. */
export const secret = (description: string) => z.string().min(1).meta({ description, secret: true });

/** A secret that is shown to us: several while it is rotated, as a list or one a line. The first is the one to show. */
export const secrets = (description: string) =>
  z
    .union([z.string(), z.array(z.string()).min(1)], { error: 'must be a text or a list of texts' })
    .meta({
      description: `${description}; several, as a list or one a line: the first is sent, each is accepted`,
      secret: true,
    })
    .transform((given, context) => {
      const texts = [given]
        .flat()
        .flatMap((text) => text.split(/\r?\n/))
        .filter((text) => text.trim() !== '');
      if (texts.length > 0) return texts;
      context.addIssue({ code: 'custom', message: 'must not be empty' });
      return z.NEVER;
    });

/**
 * A section of the file that is on where it is there. By the environment, which knows no sections, `enabled` says so, and for one
 * release in the file too.
 *
 * @param does what it does, for a sentence
 */
export function optionalSection<Shape extends z.ZodRawShape>(does: string, shape: Shape) {
  const enabled = z.boolean().default(false).meta({
    deprecated: true,
    description:
      'by environment: `true` turns it on. In the file the section does; there this key is read for one release, with a warning',
  });
  return z
    .strictObject({ enabled, ...shape })
    .prefault({} as never)
    .meta({ onByPresence: true, description: `${does}; on if the section is there` });
}

/**
 * How the file of a secret is read: with the configuration; as a place that its user reads and looks at again; or by its user alone,
 * who watches it.
 */
export type SecretFile = 'read' | 'place' | 'watched';

/** A path beside a secret: `x` and `xPath`. @param what it holds, for a sentence */
export const secretFile = (
  file: SecretFile = 'read',
  what = 'file with that secret, instead (by environment `…_FILE`); read again when it changes',
) => z.string().min(1).optional().meta({ description: what, secretFile: file });

/** Both forms of a secret, for the keys of a map; where one is needed, either is. */
export function secretKeys<Name extends string, Value extends z.ZodType>(
  name: Name,
  value: Value,
  file = secretFile(),
): Record<Name, Value> & Record<`${Name}Path`, typeof file> {
  return { [name]: value, [`${name}Path`]: file } as Record<Name, Value> & Record<`${Name}Path`, typeof file>;
}

/** One claim or several. */
export const groupClaims = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)], { error: 'must be a claim or a list of claims' })
  .transform((claims) => [claims].flat());

/** How claims hold groups. */
export const groupForms = {
  groupsDelimiter: z
    .enum([',', ';', '|', ' '])
    .optional()
    .meta({ description: 'between groups in a text; absent: a text is one group' }),
  groupName: z
    .string()
    .min(1)
    .default('name')
    .meta({ description: 'member with the name of the group, where groups are a list of objects' }),
};

const DURATION = 'must be a duration such as 500ms, 30s, 15m, 8h or 7d';

export const duration = (description: string) =>
  z
    .string(DURATION)
    .meta({ description })
    .transform((text, context) => {
      const milliseconds = parseDuration(text);
      if (milliseconds !== undefined) return milliseconds;
      context.addIssue({ code: 'custom', message: DURATION });
      return z.NEVER;
    });

export const size = (description: string) =>
  z
    .string()
    .meta({ description })
    .transform((text, context) => {
      const bytes = parseSize(text);
      if (bytes !== undefined) return bytes;
      context.addIssue({ code: 'custom', message: 'must be a size such as 512B, 64KiB or 4MiB' });
      return z.NEVER;
    });

/** What other programs take for all addresses. */
function everywhere(text: string): string {
  const [, port] = /^\*?:?(\d{1,5})$/.exec(text) ?? [];
  return port === undefined ? '' : `; all addresses of this machine or container are 0.0.0.0:${port} or [::]:${port}`;
}

export const address = (description: string) =>
  z
    .string('must be HOST:PORT, such as 127.0.0.1:4180 or [::1]:4180')
    .meta({ description })
    .transform((text, context) => {
      const read = parseAddress(text);
      if (read !== undefined) return read;
      context.addIssue({
        code: 'custom',
        message: `must be HOST:PORT, such as 127.0.0.1:4180 or [::1]:4180${everywhere(text)}`,
      });
      return z.NEVER;
    });

export const addressRange = z.string().superRefine((text, context) => {
  try {
    parseRange(text);
  } catch {
    context.addIssue({ code: 'custom', message: `"${text}" is not an address or CIDR range, such as 10.0.0.0/8` });
  }
});

/** What a person has at hand is often the address of the provider's document. */
export const issuerUrl = (description: string) =>
  httpUrl(description).refine((text) => !text.includes('/.well-known/'), {
    error: 'must be the issuer: the address of the document without `/.well-known/` and what follows it',
  });

export const httpUrl = (description: string) =>
  z
    .string()
    .meta({ description })
    .superRefine((text, context) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol) || url.hash !== '' || url.username !== '')
        // Fatal: checks across keys read it as a URL.
        context.addIssue({
          code: 'custom',
          message: 'must be an http or https URL without user or fragment',
          fatal: true,
        });
    });

export const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be a header name');
export const scope = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be a scope (RFC 6749 §3.3): no spaces or quotes');
export const pathGlob = z
  .string()
  .startsWith('/', 'must start with /')
  .regex(/^[^?#\s]*$/, 'must be a path without query')
  .meta({ description: '`*` matches within one segment, `/**` at the end everything below' });

export const JWS_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** Path of a file with keys, which watches itself. @param what it holds */
export const keysFile = (what: string) =>
  secretFile('watched', `${what}, read again when it changes; needed for several replicas`);
