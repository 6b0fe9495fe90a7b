import type { RedisClient } from './link.ts';

/** Appends in one transaction: all of them or none. `~` lets Redis cut off whole nodes, which costs it nothing. */
export async function appendLines(
  client: RedisClient,
  key: string,
  maxLength: number,
  lines: readonly string[],
): Promise<void> {
  const transaction = client.multi();
  for (const line of lines) transaction.xadd(key, 'MAXLEN', '~', maxLength, '*', 'line', line);
  const results = await transaction.exec();
  const failed = results?.find(([error]) => error !== null)?.[0];
  if (failed instanceof Error) throw failed;
  if (results === null) throw new Error('the transaction was not carried out');
}
