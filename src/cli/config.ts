import { stringify } from 'yaml';
import { editorSchema } from '../platform/config/keys.ts';
import { ENGLISH } from '../platform/pages/texts/english.ts';
import { type Command, UsageError } from './command.ts';
import { configurationReference } from './configuration-reference.ts';

export const config: Command = {
  summary:
    'print every key of the configuration, its JSON Schema, or the texts of the pages (`config reference|schema|texts`)',
  usage: 'postern config reference|schema|texts',
  help: `  reference   Markdown: each key, its environment name, default and meaning
  schema      JSON Schema, for an editor
  texts       YAML: each text of the pages for people in English, to begin a file for \`auth.pages.textsPath\` with`,
  options: {},
  choices: ['reference', 'schema', 'texts'],
  positionals: [1, 1],
  async run(line, terminal) {
    switch (line.positionals[0]) {
      case 'reference':
        terminal.print(configurationReference());
        return 0;
      case 'schema':
        terminal.print(JSON.stringify(editorSchema(), null, 2));
        return 0;
      case 'texts':
        terminal.print(stringify({ en: ENGLISH }).trimEnd());
        return 0;
      default:
        throw new UsageError(
          `there are \`config reference\`, \`config schema\` and \`config texts\`, no \`${line.positionals[0]}\``,
        );
    }
  },
};
