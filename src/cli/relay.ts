import type { Command } from './command.ts';
import { runService } from './run-service.ts';

export const relay: Command = {
  summary: 'process two: the relay in front of the MCP servers',
  usage: 'postern relay [--config FILE]',
  help: 'Logs JSON on standard output. SIGTERM drains; a second one ends at once.',
  options: {},
  positionals: [0, 0],
  async run(line, terminal) {
    const { startRelay } = await import('../relay/server.ts');
    return runService('relay', startRelay, line, terminal);
  },
};
