import { createHmac } from 'node:crypto';

/**
 * The headers of one delivery, signed by HMAC-SHA256 over id, time and body (Standard Webhooks, "Signature scheme", `v1`).
 *
 * @param secret `whsec_` and base64
 * @param id the same for each attempt, so that the receiver can tell a repetition
 * @param at Unix time in milliseconds of this attempt
 */
export function signedHeaders(secret: string, id: string, at: number, body: string): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1_000));
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'Content-Type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  };
}
