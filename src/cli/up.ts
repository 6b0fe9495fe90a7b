import pino from 'pino';
import { parseConfig, readInput } from '../platform/config/load.ts';
import { createLogger } from '../platform/log.ts';
import { instructions } from '../quickstart/instructions.ts';
import { HIGHEST_PORT_BASE, quickstartPorts } from '../quickstart/ports.ts';
import { type Command, type CommandLine, optionalText, UsageError } from './command.ts';
import { stopSignal } from './stop-signal.ts';

export const up: Command = {
  summary: 'everything at once for a first look, on 127.0.0.1',
  usage: 'postern up [--port-base N] [--config FILE] [--quiet]',
  help: `Starts an edge in the place of your proxy, forward-auth and relay as processes of their own, a development identity
provider and two example MCP servers. Not for production: the accounts' passwords are their names.

  --port-base N   listen on ports from N on (0: any free ports). Absent: the ports in the second column.

                             default   with --port-base N
    edge                        8080   N
    forward-auth                4180   N + 1
    relay                       4444   N + 3
    development provider        4192   N + 4
    example MCP servers         4191   N + 5
                                4193   N + 8
    metrics of forward-auth     9464   N + 6
    metrics of relay            9465   N + 7

  --config FILE   your own rules and servers instead of the example's
  --quiet         no line for each decision`,
  options: { 'port-base': { type: 'string' }, quiet: { type: 'boolean' } },
  positionals: [0, 0],
  async run(line, terminal) {
    const ports = portsOf(line);
    const { input, warnings, problems } = readInput(optionalText(line, 'config'), terminal.env);
    // Not loaded by `auth` and `relay`: the development identity provider has no business in a production process.
    const { startQuickstart } = await import('../quickstart/start.ts');
    const { withProvider } = await import('../quickstart/configuration.ts');
    const { log: logging, auth } = parseConfig(withProvider(input), problems);
    for (const warning of warnings) terminal.printError(`warning: ${warning}`);

    let kill = () => {};
    const signal = stopSignal(() => kill());
    const stopped = new AbortController();
    void signal.stopped.then(() => stopped.abort());
    terminal.print('starting an edge, forward-auth, the relay and a development identity provider on 127.0.0.1');
    const starting = startQuickstart({
      ports,
      userInput: input,
      pages: auth.pages,
      env: terminal.env,
      program: [process.execPath, ...process.execArgv, process.argv[1] as string],
      signal: stopped.signal,
      onDecision: line.values.quiet === true ? undefined : terminal.print,
      log: createLogger('edge', logging.level, pino.destination({ fd: 2, sync: true })),
    });
    const quickstart = await starting.catch((error: unknown) => {
      if (!stopped.signal.aborted) throw error;
    });
    if (quickstart === undefined) return 0;
    kill = quickstart.kill;
    terminal.print(`ready ${quickstart.publicUrl}`);
    terminal.print(instructions(quickstart, process.versions.node));

    const failure = await Promise.race([quickstart.failed, signal.stopped.then(() => undefined)]);
    if (failure !== undefined) terminal.printError(`postern: ${failure}`);
    await quickstart.close();
    signal.dispose();
    return failure === undefined ? 0 : 1;
  },
};

function portsOf(line: CommandLine) {
  const text = optionalText(line, 'port-base');
  try {
    return quickstartPorts(text === undefined ? undefined : Number(text === '' ? Number.NaN : text));
  } catch {
    throw new UsageError(`--port-base must be a whole number from 0 to ${HIGHEST_PORT_BASE}`);
  }
}
