import type { Writable } from 'node:stream';
import type { AuditSink } from './audit-sink.ts';

/** Beside the log. A reader that does not read, or has gone, makes the queue fill, not the memory. */
export function stdoutSink(out: Writable = process.stdout): AuditSink {
  // Each write is told of its failure below; without a listener it would end the process as well.
  out.on('error', () => {});
  return {
    name: 'stdout',
    lastLine: undefined,
    write: (lines) =>
      new Promise((resolve, reject) => {
        out.write(`${lines.join('\n')}\n`, (error) => (error ? reject(error) : resolve()));
      }),
    close: async () => {},
  };
}
