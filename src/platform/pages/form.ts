import type { Context } from 'koa';
import { PosternError } from '../errors.ts';

/** Bytes. */
const MAX_FORM = 65_536;

/** @throws PosternError 413, 415 */
export async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (!ctx.is('application/x-www-form-urlencoded'))
    throw new PosternError('form_type', 'send application/x-www-form-urlencoded', { status: 415, expose: true });
  const chunks: Buffer[] = [];
  let size = 0;
  // Destroyed, it would take the connection with it, and the answer that its client waits for.
  for await (const chunk of ctx.req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_FORM) throw new PosternError('form_size', 'the form is too large', { status: 413, expose: true });
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
