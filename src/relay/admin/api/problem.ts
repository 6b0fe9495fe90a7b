import { z } from 'zod';
import { DependencyUnavailable, PosternError } from '../../../platform/errors.ts';
import { NotAdmitted } from '../access/operator.ts';

/** RFC 9457. `title` is the stable code, `detail` says what to do. */
export const problem = z
  .object({
    type: z.literal('about:blank'),
    status: z.int(),
    title: z.string(),
    detail: z.string(),
    requestId: z.string(),
  })
  .meta({ id: 'Problem', description: 'What went wrong (RFC 9457).' });

export interface ShownError {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What may be shown of an error; what may not is in the log. */
export function shownError(error: unknown): ShownError {
  if (!(error instanceof PosternError) || !error.expose)
    return { status: 500, code: 'internal', detail: 'the relay failed; its log says why', headers: {} };
  const { status, code, message: detail } = error;
  const headers = error instanceof NotAdmitted ? error.headers : {};
  return { status, code, detail, headers: error instanceof DependencyUnavailable ? { 'Retry-After': '5' } : headers };
}
