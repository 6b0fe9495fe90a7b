import { configJsonSchema } from '../platform/config/keys.ts';
import { type Command, UsageError } from './command.ts';
import { configurationReference } from './configuration-reference.ts';

export const config: Command = {
  summary: 'print every key of the configuration (`config reference`) or its JSON Schema (`config schema`)',
  usage: 'postern config reference|schema',
  help: `  reference   Markdown: each key, its environment name, default and meaning
  schema      JSON Schema, for an editor`,
  options: {},
  choices: ['reference', 'schema'],
  positionals: [1, 1],
  async run(line, terminal) {
    switch (line.positionals[0]) {
      case 'reference':
        terminal.print(configurationReference());
        return 0;
      case 'schema':
        terminal.print(JSON.stringify(configJsonSchema(), null, 2));
        return 0;
      default:
        throw new UsageError(`there are \`config reference\` and \`config schema\`, no \`${line.positionals[0]}\``);
    }
  },
};
