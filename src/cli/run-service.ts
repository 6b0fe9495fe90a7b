import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConfigDocument, parseConfigDocument } from '../platform/config/config-document.ts';
import { drainTimes } from '../platform/config/drain-schema.ts';
import { type LoadedConfig, loadConfig } from '../platform/config/load.ts';
import type { ProcessName } from '../platform/config/process-sections.ts';
import type { Config } from '../platform/config/schema.ts';
import { workerCount } from '../platform/config/workers-schema.ts';
import { ConfigurationError } from '../platform/errors.ts';
import { createLogger, type Logger } from '../platform/log.ts';
import { watchFiles } from '../platform/reloading/file-watch.ts';
import { KEPT, type ReadConfig } from '../platform/reloading/reloading.ts';
import {
  type ConfigurationMessage,
  configurationMessage,
  isConfigurationMessage,
  type StartMessage,
  takePlace,
  type WorkerPlace,
} from '../platform/worker-place.ts';
import { isFileGoneMessage, type ReadyMessage } from '../quickstart/ready-message.ts';
import { type CommandLine, optionalText, type Terminal } from './command.ts';
import { stopSignal } from './stop-signal.ts';
import { endOnUnexpected } from './unexpected.ts';
import { runWorkers } from './workers/run-workers.ts';

interface Service {
  readonly port: number;
  readonly internalPort: number;
  reload(read: ReadConfig): Promise<void>;
  /** Tells everybody who routes to this process to stop; requests are still taken. */
  announceStop(): void;
  close(): Promise<void>;
  /** Ends at once, but for what waits to be written. */
  fail(): Promise<void>;
}

/** Milliseconds beyond the drain time after which a service that does not close is left. */
const CLOSE_GRACE = 1000;

/**
 * Runs one of the two processes, or its workers, until it is told to stop, then drains it. SIGHUP, or a change of the file, has it
 * read its configuration again.
 *
 * @returns 0, or the exit code of a worker that could not start
 * @throws ConfigurationError before any port opens; PosternError where a port is taken
 */
export async function runService(
  name: ProcessName,
  start: (
    config: Config,
    deps: { log: Logger; worker: WorkerPlace | undefined; file: string | undefined },
  ) => Promise<Service>,
  line: CommandLine,
  terminal: Terminal,
): Promise<number> {
  const path = optionalText(line, 'config');
  const worker = takePlace();
  const given = worker === undefined ? undefined : await givenDocument();
  const { config, file, files, warnings, document, refused } = loadAtStart(path, terminal.env, given, name);
  const log = createLogger(name, config.log.level, undefined, config.userNames);
  if (refused !== undefined) log.error({ problems: refused.problems }, KEPT);
  const { workers, internalListen } = name === 'relay' ? config.relay : config.auth;
  const count = workerCount(workers);
  if (worker === undefined || worker.number === 1) for (const warning of warnings) log.warn(warning);
  const drain = drainTimes(config.drain);
  if (worker === undefined && count > 1)
    return runWorkers({ count, document, internalListen, stopTime: drain.total + 2 * CLOSE_GRACE, log });

  let flush = async () => {};
  endOnUnexpected(log, () => flush());
  const signal = stopSignal();
  const hangUp = hangUpSignal();
  const service = await start(config, { log, worker, file }).finally(unrefChannel);
  flush = () => service.fail();
  log.info({ port: service.port, internalPort: service.internalPort, file }, 'listening');
  const tellOthers = () => worker !== undefined && process.connected && process.send?.(configurationMessage(running));
  let running = document;
  if (running?.text !== given?.text) tellOthers();
  const message: ReadyMessage = { type: 'postern:ready', port: service.port, internalPort: service.internalPort };
  process.send?.(message);

  const take = async (load: () => LoadedConfig): Promise<boolean> => {
    let taken = false;
    await service.reload(() => {
      const loaded = load();
      const onApplied = () => {
        taken = true;
        running = loaded.document;
        watched.watch(loaded.files);
      };
      return { ...loaded, onApplied };
    });
    return taken;
  };
  const reload = () =>
    void take(() => loadConfig(path, terminal.env, running, name)).then((taken) => taken && tellOthers());
  let following = Promise.resolve();
  /** What another worker has read: it was compared there with the file before. */
  const follow = (told: ConfigurationMessage) => {
    following = following.then(async () => {
      if (told.file === undefined || told.file.text === running?.text) return;
      const { path: at, text } = told.file;
      if (await take(() => loadConfig(parseConfigDocument(at, text), terminal.env, undefined, name))) return;
      log.error('what the other workers run by cannot be used here; another worker takes the place of this one');
      process.kill(process.pid, 'SIGTERM');
    });
  };
  const watched = watchFiles(files, reload);
  hangUp.listen(() => {
    // An operator who changes the file and says so wants it read once.
    watched.passOver();
    reload();
  });
  process.on('message', (told) => {
    if (isFileGoneMessage(told)) watched.close();
    if (worker !== undefined && isConfigurationMessage(told)) follow(told);
  });
  unrefChannel();
  const reason = await signal.stopped;
  watched.close();
  log.info({ reason, drain: drain.total }, 'draining');
  service.announceStop();
  // Somebody at a keyboard is not waited for, and without the process that started this one nobody routes here.
  if (reason === 'SIGTERM') await delay(drain.delay);
  const closed = await Promise.race([
    service.close().then(() => true),
    delay(drain.total + CLOSE_GRACE, false, { ref: false }),
  ]);
  if (closed) log.info('stopped');
  else log.warn('stopped although not everything was closed');
  log.flush();
  if (process.connected) process.disconnect();
  endSoon();
  return 0;
}

/** What the workers run by that are there already. */
async function givenDocument(): Promise<ConfigDocument | undefined> {
  const told = once(process, 'message') as Promise<[unknown]>;
  const start: StartMessage = { type: 'postern:start' };
  process.send?.(start);
  const [message] = await told;
  if (!isConfigurationMessage(message) || message.file === undefined) return undefined;
  return parseConfigDocument(message.file.path, message.file.text);
}

/** A worker takes the place of one that ended: where the file cannot replace what the others run by, it goes on by that as they do. */
function loadAtStart(
  path: string | undefined,
  env: Terminal['env'],
  given: ConfigDocument | undefined,
  name: ProcessName,
): LoadedConfig & { readonly refused?: ConfigurationError } {
  try {
    return loadConfig(path, env, given, name);
  } catch (error) {
    if (given === undefined || !(error instanceof ConfigurationError)) throw error;
    return { ...loadConfig(given, env, undefined, name), refused: error };
  }
}

/** From the first moment, because an unheard SIGHUP ends a process; what came during the start is heard after it. */
function hangUpSignal(): { listen(listener: () => void): void } {
  let missed = false;
  let heard = () => {
    missed = true;
  };
  process.on('SIGHUP', () => heard());
  return {
    listen: (listener) => {
      heard = listener;
      if (missed) listener();
    },
  };
}

/** A channel that is listened to would keep a process alive which could not start. */
function unrefChannel(): void {
  process.channel?.unref();
}

/** A drained process ends by itself; a forgotten handle must not keep it. */
function endSoon(): void {
  setTimeout(() => process.exit(0), 500).unref();
}
