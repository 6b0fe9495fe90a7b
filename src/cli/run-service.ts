import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../platform/config/load.ts';
import type { Config } from '../platform/config/schema.ts';
import { createLogger, type Logger } from '../platform/log.ts';
import type { ReadyMessage } from '../quickstart/ready-message.ts';
import { type CommandLine, optionalText, type Terminal } from './command.ts';
import { stopSignal } from './stop-signal.ts';

interface Service {
  readonly port: number;
  readonly internalPort: number;
  close(): Promise<void>;
}

/** Milliseconds beyond the drain time after which a service that does not close is left. */
const CLOSE_GRACE = 1000;

/**
 * Runs one of the two processes until it is told to stop, then drains it.
 *
 * @returns 0
 * @throws ConfigurationError before any port opens; PosternError where a port is taken
 */
export async function runService(
  name: string,
  start: (config: Config, deps: { log: Logger }) => Promise<Service>,
  line: CommandLine,
  terminal: Terminal,
): Promise<number> {
  const { config, file, warnings } = loadConfig(optionalText(line, 'config'), terminal.env);
  const log = createLogger(name, config.log.level);
  for (const warning of warnings) log.warn(warning);

  const signal = stopSignal();
  const service = await start(config, { log }).finally(unrefChannel);
  log.info({ port: service.port, internalPort: service.internalPort, file }, 'listening');
  const message: ReadyMessage = { type: 'postern:ready', port: service.port, internalPort: service.internalPort };
  process.send?.(message);

  const reason = await signal.stopped;
  log.info({ reason, drain: config.drain }, 'draining');
  const closed = await Promise.race([
    service.close().then(() => true),
    delay(config.drain + CLOSE_GRACE, false, { ref: false }),
  ]);
  if (closed) log.info('stopped');
  else log.warn('stopped although not everything was closed');
  log.flush();
  if (process.connected) process.disconnect();
  endSoon();
  return 0;
}

/** A channel that is listened to would keep a process alive which could not start. */
function unrefChannel(): void {
  process.channel?.unref();
}

/** A drained process ends by itself; a forgotten handle must not keep it. */
function endSoon(): void {
  setTimeout(() => process.exit(0), 500).unref();
}
