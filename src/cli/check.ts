import { ConfigurationError } from '../platform/errors.ts';
import { type Command, EXIT_CONFIG, optionalText, type Terminal } from './command.ts';
import { findingOf, findingText } from './doctor/finding.ts';
import { inspect, loadUsable, placedProblems } from './doctor/inspection.ts';
import { runningDifferences } from './running-configuration.ts';

export const check: Command = {
  summary: 'read the configuration and say what is wrong with it',
  usage: 'postern check [--config FILE]',
  help: `Reads file and environment as \`auth\` and \`relay\` do, and warns of what is allowed and hardly meant: files, folders and
programs that are not there, keys that cannot be read, rules that never decide, weak secrets, plain http. Asks no server:
\`postern doctor\` does. Exit code 0 where the configuration can be used, with warnings or without; otherwise 78.`,
  options: {},
  positionals: [0, 0],
  async run(line, terminal) {
    const path = optionalText(line, 'config');
    try {
      const loaded = loadUsable(path, terminal.env);
      const { file } = loaded;
      const found = await inspect(loaded, terminal.env);
      const texts = (wanted: boolean) => found.filter(({ level }) => (level === 'fail') === wanted).map(findingText);
      const running = await runningDifferences(loaded);
      const warnings = [...loaded.warnings, ...texts(false), ...running.warnings];
      for (const warning of warnings) terminal.printError(`warning: ${warning}`);
      if (texts(true).length > 0) return refuse(texts(true), terminal);
      for (const note of [...loaded.notes, ...running.notes]) terminal.print(`note: ${note}`);
      const { length } = warnings;
      const suffix = length === 0 ? '' : `; ${length} warning${length === 1 ? '' : 's'}`;
      terminal.print(`${file ?? 'the environment'}: the configuration can be used${suffix}`);
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      const problems = error.problems.map((problem) => findingOf('fail', problem));
      return refuse(placedProblems(problems, path, terminal.env).map(findingText), terminal);
    }
  },
};

function refuse(problems: readonly string[], terminal: Terminal): number {
  for (const problem of problems) terminal.print(problem);
  terminal.printError(`${problems.length} problem${problems.length === 1 ? '' : 's'} found`);
  return EXIT_CONFIG;
}
