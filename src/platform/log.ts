import pino, { type DestinationStream, type Logger } from 'pino';
import { type UserName, withUser } from '../identity/user.ts';
import { redact } from './redact.ts';
import { StandardOutput } from './standard-output.ts';
import { spanFields } from './tracing/current-span.ts';

export type { Logger };

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/**
 * One JSON object a line on standard output. Redaction sits at the root, so no call site can forget it; so does the spelling of a user:
 * call sites give an `identity`.
 *
 * @param names which names of a user are written
 */
export function createLogger(
  process: string,
  level: (typeof LOG_LEVELS)[number],
  destination?: DestinationStream,
  names: readonly UserName[] = [],
): Logger {
  const onDropped = (dropped: number) =>
    logger.warn({ dropped }, 'lines of the log were left out, because its reader was too slow');
  const logger: Logger = pino(
    {
      level,
      base: { process },
      messageKey: 'message',
      mixin: spanFields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (record) => redact(withUser(record, names)) as Record<string, unknown>,
      },
      hooks: {
        logMethod(args, method) {
          // Of a bare error pino takes the message as the line's, past the formatters.
          const [first, ...rest] = args as unknown[];
          const all =
            first instanceof Error && rest.length === 0 ? [{ error: first }, first.message] : [first, ...rest];
          const safe = all.map((arg, index) => (index === 0 && typeof arg === 'object' ? arg : redact(arg)));
          method.apply(this, safe as Parameters<typeof method>);
        },
      },
    },
    destination ?? new StandardOutput(onDropped),
  );
  // pino formats the bindings of the root only; children inherit this method.
  const { child } = logger;
  logger.child = function (this: Logger, bindings: object, options?: object) {
    return child.call(this, redact(bindings) as object, options);
  } as typeof child;
  return logger;
}
