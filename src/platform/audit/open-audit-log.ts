import type { Config } from '../config/schema.ts';
import { AuditLog, type AuditLogDeps } from './audit-log.ts';
import type { AuditSink } from './audit-sink.ts';
import { FileSink } from './file-sink.ts';
import { stdoutSink } from './stdout-sink.ts';

/**
 * The audit log that the configuration asks for; undefined where it asks for none.
 *
 * @param stream where the lines for Redis go
 * @param worker number of this process among several that share the configuration; absent: it is the only one
 * @param memory keeps the last lines for those who look; absent: nobody does
 * @throws ConfigurationError where the file cannot be opened
 */
export async function openAuditLog(
  config: Config['audit'],
  deps: AuditLogDeps & {
    readonly stream: ((name: string, maxLength: number) => (lines: readonly string[]) => Promise<void>) | undefined;
    readonly memory?: AuditSink | undefined;
    readonly worker?: number | undefined;
  },
): Promise<AuditLog | undefined> {
  const sinks: AuditSink[] = [];
  if (config.stdout) sinks.push(stdoutSink());
  if (config.file !== undefined) {
    const path = config.file.path.replaceAll('{process}', fileName(deps));
    sinks.push(await FileSink.open({ ...config.file, path, now: deps.now }));
  }
  if (config.redis !== undefined && deps.stream !== undefined)
    sinks.push({
      name: 'redis',
      lastLine: undefined,
      write: deps.stream(`${config.redis.stream}:${deps.process}`, config.redis.maxLength),
      close: async () => {},
    });
  if (deps.memory !== undefined) sinks.push(deps.memory);
  return sinks.length === 0 ? undefined : new AuditLog(config, sinks, deps);
}

/** A chain of hashes has one writer. */
function fileName({ process, worker }: { readonly process: string; readonly worker?: number | undefined }): string {
  return worker === undefined ? process : `${process}-${worker}`;
}
