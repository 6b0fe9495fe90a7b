import type { Command } from './command.ts';
import { runService } from './run-service.ts';

export const auth: Command = {
  summary: 'process one: forward-auth, which your proxy asks about every request',
  usage: 'postern auth [--config FILE]',
  help: 'Logs JSON on standard output. SIGTERM drains; a second one ends at once. SIGHUP, or a change of the file, has it read\nits configuration again: a wrong one is logged, and the one before goes on.',
  options: {},
  positionals: [0, 0],
  async run(line, terminal) {
    const { startForwardAuth } = await import('../forward-auth/server.ts');
    return runService('forward-auth', startForwardAuth, line, terminal);
  },
};
