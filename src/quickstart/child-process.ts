import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PosternError } from '../platform/errors.ts';
import { type FileGoneMessage, isReadyMessage, type ReadyMessage } from './ready-message.ts';

export interface ServiceProcess {
  readonly name: string;
  readonly pid: number;
  readonly ready: ReadyMessage;
  /** Settles when the process has ended, with how, such as `exit code 1` or `signal SIGKILL`. */
  readonly ended: Promise<string>;
  /** Asks the process to drain; kills it after so many milliseconds. */
  stop(grace: number): Promise<void>;
  kill(): void;
}

/**
 * Starts one of our own commands as a process and waits until it says that it listens. Its output goes to standard
 * error, so that standard output holds nothing but what a person should read. The IPC channel closes with this process,
 * however that ends, and the child stops then: nothing is orphaned.
 *
 * @param program node, its flags and the entry file
 * @param output the signal kills the process; without `onLine` its standard output is our standard error
 * @throws PosternError where the process ends before it is ready
 */
export async function startServiceProcess(
  name: string,
  program: readonly string[],
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  output: { readonly signal: AbortSignal; readonly onLine: ((line: string) => void) | undefined },
): Promise<ServiceProcess> {
  const [command, ...flags] = program;
  const child = spawn(command as string, [...flags, ...args], {
    env,
    stdio: ['ignore', output.onLine === undefined ? 2 : 'pipe', 2, 'ipc'],
    signal: output.signal,
    killSignal: 'SIGKILL',
  });
  if (child.stdout !== null && output.onLine !== undefined)
    createInterface({ input: child.stdout }).on('line', output.onLine);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  const ready = await Promise.race([readyMessage(child), ended]);
  if (typeof ready === 'string')
    throw new PosternError('child_ended', `${name} ended before it was ready (${ready})`, { expose: true });
  // Before the file is removed, so that its process does not take that for a change.
  const message: FileGoneMessage = { type: 'postern:file-gone' };
  if (child.connected) child.send(message);
  return {
    name,
    pid: child.pid as number,
    ready,
    ended,
    async stop(grace) {
      // Not a signal: after Ctrl-C the child has had one already, and a second one means "at once".
      if (child.connected) child.disconnect();
      const overdue = setTimeout(() => child.kill('SIGKILL'), grace);
      await ended;
      clearTimeout(overdue);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function readyMessage(child: ChildProcess): Promise<ReadyMessage> {
  return new Promise((resolve) => {
    child.on('message', (message) => {
      if (isReadyMessage(message)) resolve(message);
    });
  });
}
