import { existsSync } from 'node:fs';
import { type ChainReport, verifyChain } from '../platform/audit/verify.ts';
import { loadConfig } from '../platform/config/load.ts';
import { PosternError } from '../platform/errors.ts';
import { type Command, optionalText, type Terminal, UsageError } from './command.ts';

export const audit: Command = {
  summary: 'find out whether lines of an audit file were removed, changed or moved',
  usage: 'postern audit verify FILE [options]',
  help: `Follows the hashes of audit.chain through FILE and what was rotated from it (FILE.1, FILE.2, …), oldest first.
Exit code 0 where the chain is whole, otherwise 1. What is missing at the end only the last hash can tell, which is
printed: keep it in another place, and give it the next time.

  --since HASH   a hash that was printed before and must still be in the chain
The key is audit.chain.key (POSTERN_AUDIT_CHAIN_KEY), where there is one.`,
  options: { since: { type: 'string' } },
  choices: ['verify'],
  positionals: [2, 2],
  async run(line, terminal) {
    const [action, file = ''] = line.positionals;
    if (action !== 'verify') throw new UsageError(`there is \`audit verify\`, no \`audit ${action}\``);
    const { config } = loadConfig(optionalText(line, 'config'), terminal.env);
    const files = rotated(file);
    const since = optionalText(line, 'since');
    try {
      return print(await verifyChain(files, config.audit.chain.key, since), files, terminal);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new PosternError('audit', `${file} cannot be read (${code})`, { expose: true, cause });
    }
  },
};

/** Oldest first. */
function rotated(file: string): string[] {
  const files = [file];
  for (let number = 1; existsSync(`${file}.${number}`); number++) files.unshift(`${file}.${number}`);
  return files;
}

function print(
  { lines, firstSeq, lastSeq, lastHash, problems }: ChainReport,
  files: string[],
  terminal: Terminal,
): number {
  for (const problem of problems) terminal.print(problem);
  if (problems.length > 0) {
    terminal.printError(`the chain is broken in ${problems.length} place${problems.length === 1 ? '' : 's'}`);
    return 1;
  }
  const older = firstSeq > 1 ? `; older lines, up to ${firstSeq - 1}, are in no file here` : '';
  terminal.print(
    `${lines} lines in ${files.length} file${files.length === 1 ? '' : 's'}, ${firstSeq} to ${lastSeq}: whole${older}`,
  );
  terminal.print(`last hash: ${lastHash}`);
  return 0;
}
