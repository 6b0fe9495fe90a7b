import { z } from 'zod';
import { contrast, GROUNDS, LEAST_CONTRAST } from '../pages/color.ts';

const color = (ground: 'light' | 'dark', description: string) =>
  z
    .string()
    .regex(/^#[0-9a-f]{6}$/i, 'must be a color such as #1746c7')
    .optional()
    .meta({ description })
    .superRefine((value, context) => {
      if (value === undefined || !/^#[0-9a-f]{6}$/i.test(value)) return;
      const ratio = contrast(value, GROUNDS[ground]);
      if (ratio >= LEAST_CONTRAST) return;
      const message = `has a contrast of ${ratio.toFixed(1)} to the ${ground} pages (${GROUNDS[ground]}); links need ${LEAST_CONTRAST}: choose a ${ground === 'light' ? 'darker' : 'lighter'} one`;
      context.addIssue({ code: 'custom', message });
    });

/** A scheme of RFC 3986 §3.1, longer than the letter of a drive; a name has a space after a colon. */
const URL_SCHEME = /^[a-z][a-z0-9+.-]+:\S/i;

/** How the pages for people look and speak: sign-in, home, sessions, consent, accounts and refusals. */
export const pagesSchema = z.strictObject({
  name: z.string().min(1).max(60).default('Postern').meta({ description: 'the name at the top of every page' }),
  logoPath: z
    .string()
    .min(1)
    .refine((path) => !URL_SCHEME.test(path), 'must be the path of a file, not a URL; save the logo on this machine')
    .optional()
    .meta({ description: 'file with the logo beside the name, SVG, PNG or WebP, at most 256 KiB; absent: a gate' }),
  colors: z
    .strictObject({
      light: color('light', 'of buttons and links on light pages, such as `#0b6b3a`; absent: blue'),
      dark: color('dark', 'the same on dark pages; absent: `light`, as much lighter as can be read'),
    })
    .prefault({})
    .meta({ description: 'colors of buttons and links' }),
  help: z
    .string()
    .min(1)
    .max(200)
    .refine(
      (help) => !URL_SCHEME.test(help) || /^https?:/i.test(help),
      'must be a name, an e-mail address or a URL of http or https; write one of these',
    )
    .optional()
    .meta({
      description:
        'whom a person is told to ask who may not go on: a name, an e-mail address or a URL; absent: the people who run this service',
    }),
  permissions: z
    .record(z.string().min(1), z.string().min(1).max(300))
    .default({})
    .meta({ description: 'scopes in words, for the consent page: `mcp:admin: Delete repositories`' }),
  textsPath: z.string().min(1).optional().meta({
    description:
      'YAML file with texts of the pages by language and key: further languages, or other words for ours (`docs/pages.md`)',
  }),
});

export type PagesConfig = z.output<typeof pagesSchema>;
