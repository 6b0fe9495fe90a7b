import { constants } from 'node:os';
import { isStopMessage } from '../platform/worker-place.ts';

export interface StopSignal {
  /** Settles with the reason at the first SIGTERM or SIGINT, or when the process that started this one has gone. */
  readonly stopped: Promise<string>;
  dispose(): void;
}

/** @param atOnce called at the second signal, before the process exits with 128 + the signal's number */
export function stopSignal(atOnce: () => void = () => {}): StopSignal {
  let stop: (reason: string) => void;
  let asked = false;
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  const onSignal = (signal: NodeJS.Signals) => {
    if (asked) {
      atOnce();
      process.exit(128 + constants.signals[signal]);
    }
    asked = true;
    stop(signal);
  };
  const onMessage = (message: unknown) => {
    if (isStopMessage(message)) stop(message.reason);
  };
  const onDisconnect = () => stop('the starting process ended');
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('disconnect', onDisconnect).on('message', onMessage);
  return {
    stopped,
    dispose: () => {
      process
        .off('SIGTERM', onSignal)
        .off('SIGINT', onSignal)
        .off('disconnect', onDisconnect)
        .off('message', onMessage);
    },
  };
}
