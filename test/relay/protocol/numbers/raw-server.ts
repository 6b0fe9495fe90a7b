/** A server that never parses a number: it sends arguments and ids back as the very text that came. With the argument `program` it speaks over stdio. */
import { createInterface } from 'node:readline';

const FACTS = '"capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}';

/** @param text one message @returns the answer; undefined where there is none */
export function answerTo(text: string, era: 'legacy' | 'modern'): string | undefined {
  const id = /"id":("[^"]*"|[^,}]+)/.exec(text)?.[1];
  const method = /"method":"([^"]*)"/.exec(text)?.[1];
  if (id === undefined || method === undefined) return undefined;
  const result = (content: string) => `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${content}}}`;
  if (method === 'initialize' && era === 'legacy') return result(`"protocolVersion":"2025-06-18",${FACTS}`);
  if (method === 'server/discover' && era === 'modern')
    return result(`"supportedVersions":["2026-07-28"],"ttlMs":0,"cacheScope":"private",${FACTS}`);
  if (method === 'tools/list')
    return result(
      '"ttlMs":0,"cacheScope":"private","tools":[{"name":"echo","inputSchema":{"type":"object","maximum":1e400}}]',
    );
  if (method !== 'tools/call')
    return `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"there is no such method"}}`;
  const given = /"arguments":(\{[^{}]*\})/.exec(text)?.[1];
  return result(`"content":[],"structuredContent":${given}`);
}

if (process.argv[2] === 'program')
  createInterface({ input: process.stdin }).on('line', (line) => {
    const answer = answerTo(line, 'legacy');
    if (answer !== undefined) process.stdout.write(`${answer}\n`);
  });
