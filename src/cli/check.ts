import { loadConfig } from '../platform/config/load.ts';
import { ConfigurationError } from '../platform/errors.ts';
import { compilePolicy } from '../relay/policy/compile.ts';
import { type Command, EXIT_CONFIG, optionalText } from './command.ts';
import { runningDifferences } from './running-configuration.ts';

export const check: Command = {
  summary: 'read the configuration and say what is wrong with it',
  usage: 'postern check [--config FILE]',
  help: 'Reads file and environment as `auth` and `relay` do. Exit code 0 where they are right, otherwise 78.',
  options: {},
  positionals: [0, 0],
  async run(line, terminal) {
    try {
      const { config, file, warnings } = loadConfig(optionalText(line, 'config'), terminal.env);
      const { policy, servers } = config.relay;
      if (policy !== undefined) compilePolicy(policy, Object.keys(servers), () => false);
      for (const warning of warnings) terminal.printError(`warning: ${warning}`);
      for (const difference of await runningDifferences(config)) terminal.printError(`warning: ${difference}`);
      terminal.print(`${file ?? 'the environment'}: the configuration is right`);
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      for (const problem of error.problems) terminal.print(problem);
      const { length } = error.problems;
      terminal.printError(`${length} problem${length === 1 ? '' : 's'} found`);
      return EXIT_CONFIG;
    }
  },
};
