import { PosternError } from '../../platform/errors.ts';
import { type CommandLine, optionalText, type Terminal, textList, UsageError } from '../command.ts';

/** The answer cannot be used: the message says what it must be. */
export class WrongAnswer extends Error {}

/** One thing that a person or an option says. */
export interface Question<Answer> {
  readonly option: string;
  readonly text: string;
  /** Taken for an empty answer, and where nobody is asked. */
  readonly fallback?: string | undefined;
  /** @throws WrongAnswer */
  read(given: string): Answer;
}

/** Takes answers from options, and asks for those that are left. */
export interface Ask {
  one<Answer>(question: Question<Answer>): Promise<Answer>;
  /** At least one; an empty answer ends them. Each is a pair whose first part is its name. */
  several<Answer extends readonly [name: string, unknown]>(question: Question<Answer>): Promise<readonly Answer[]>;
  /** @throws UsageError where the option is given */
  refuse(option: string, why: string): void;
}

/**
 * @param questionable whether a person is there who can be asked; otherwise an option without a fallback is needed
 */
export function askBy(line: CommandLine, terminal: Terminal, questionable: boolean): Ask {
  const ask = questionable ? terminal.ask : undefined;

  async function answer<Answer>(ask: NonNullable<Terminal['ask']>, question: Question<Answer>, optional = false) {
    for (;;) {
      const suffix = optional ? ' [none]' : question.fallback === undefined ? '' : ` [${question.fallback}]`;
      const given = await ask(`${question.text}${suffix}: `);
      if (given === undefined)
        throw new PosternError('init', 'ended before the last question; nothing was written', { expose: true });
      const text = given.trim() || (question.fallback ?? '');
      if (text === '' && optional) return undefined;
      try {
        return question.read(text);
      } catch (error) {
        if (!(error instanceof WrongAnswer)) throw error;
        terminal.printError(`  ${error.message}`);
      }
    }
  }

  return {
    one: async <Answer>(question: Question<Answer>) => {
      const given = optionalText(line, question.option) ?? (ask === undefined ? question.fallback : undefined);
      if (given !== undefined) return fromOption(question, given);
      if (ask === undefined) throw new UsageError(`--${question.option} is needed`);
      return (await answer(ask, question)) as Answer;
    },
    several: async (question) => {
      const given = textList(line, question.option).map((text) => fromOption(question, text));
      const found = new Map(given);
      if (found.size < given.length) throw new UsageError(`--${question.option}: two have the same name`);
      const answers = [...given];
      if (answers.length > 0) return answers;
      if (ask === undefined) throw new UsageError(`--${question.option} is needed`);
      for (;;) {
        const next = await answer(ask, question, answers.length > 0);
        if (next === undefined) return answers;
        if (found.has(next[0])) terminal.printError(`  there is a "${next[0]}" already`);
        else answers.push(next);
        found.set(next[0], next[1]);
      }
    },
    refuse: (option, why) => {
      if (line.values[option] !== undefined) throw new UsageError(`--${option}: ${why}`);
    },
  };
}

function fromOption<Answer>(question: Question<Answer>, given: string): Answer {
  try {
    return question.read(given.trim());
  } catch (error) {
    throw error instanceof WrongAnswer ? new UsageError(`--${question.option}: ${error.message}`) : error;
  }
}
