/** One command of a block, with what its comment says. */
export interface ShellCommand {
  /** As it stands, without the comment. */
  readonly text: string;
  readonly words: readonly string[];
  readonly comment: string;
}

/**
 * The commands of a block, one for each line; lines that end in `\` go on. Quotes keep blanks, and `&` at the end is left out.
 * Enough for what a page shows: pipes and substitutions stay in the text of their command, which a real shell runs.
 */
export function shellCommands(block: string): ShellCommand[] {
  return block
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map(readLine)
    .filter(({ words }) => words.length > 0);
}

function readLine(line: string): ShellCommand {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const [at, character] of [...line].entries()) {
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === '#' && word === undefined)
      return { text: line.slice(0, at).trim(), words: withoutBackground(words), comment: line.slice(at + 1).trim() };
    else word = (word ?? '') + character;
  }
  if (word !== undefined) words.push(word);
  return { text: line.trim(), words: withoutBackground(words), comment: '' };
}

function withoutBackground(words: readonly string[]): readonly string[] {
  return words.at(-1) === '&' ? words.slice(0, -1) : words;
}
