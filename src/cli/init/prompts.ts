import { PosternError } from '../../platform/errors.ts';
import { type CommandLine, optionalText, type Terminal, textList, UsageError } from '../command.ts';

/** The answer cannot be used: the message says what it must be. */
export class WrongAnswer extends Error {}

/** The person ended a question by Ctrl-C or Ctrl-D. */
export function endedEarly(): PosternError {
  return new PosternError('init', 'ended before the last question; nothing was written', { expose: true });
}

/** One thing that a person or an option says. */
export interface Prompt<Answer> {
  readonly option: string;
  readonly text: string;
  /** Taken for an empty answer, and where nobody is asked. */
  readonly fallback?: string | undefined;
  /** @throws WrongAnswer */
  read(given: string): Answer;
}

/** Takes answers from options, and asks for those that are left. */
export interface Ask {
  one<Answer>(prompt: Prompt<Answer>): Promise<Answer>;
  /** At least one; an empty answer ends them. Each is a pair whose first part is its name. */
  several<Answer extends readonly [name: string, unknown]>(prompt: Prompt<Answer>): Promise<readonly Answer[]>;
  /** @throws UsageError where the option is given */
  refuse(option: string, why: string): void;
}

/**
 * @param questionable whether a person is there who can be asked; otherwise an option without a fallback is needed
 */
export function askBy(line: CommandLine, terminal: Terminal, questionable: boolean): Ask {
  const ask = questionable ? terminal.ask : undefined;

  async function answer<Answer>(ask: NonNullable<Terminal['ask']>, prompt: Prompt<Answer>, optional = false) {
    for (;;) {
      const suffix = optional ? ' [none]' : prompt.fallback === undefined ? '' : ` [${prompt.fallback}]`;
      const given = await ask(`${prompt.text}${suffix}: `);
      if (given === undefined) throw endedEarly();
      const text = given.trim() || (prompt.fallback ?? '');
      if (text === '' && optional) return undefined;
      try {
        return prompt.read(text);
      } catch (error) {
        if (!(error instanceof WrongAnswer)) throw error;
        terminal.printError(`  ${error.message}`);
      }
    }
  }

  return {
    one: async <Answer>(prompt: Prompt<Answer>) => {
      const given = optionalText(line, prompt.option) ?? (ask === undefined ? prompt.fallback : undefined);
      if (given !== undefined) return fromOption(prompt, given);
      if (ask === undefined) throw new UsageError(`--${prompt.option} is needed`);
      return (await answer(ask, prompt)) as Answer;
    },
    several: async (prompt) => {
      const given = textList(line, prompt.option).map((text) => fromOption(prompt, text));
      const found = new Map(given);
      if (found.size < given.length) throw new UsageError(`--${prompt.option}: two have the same name`);
      const answers = [...given];
      if (answers.length > 0) return answers;
      if (ask === undefined) throw new UsageError(`--${prompt.option} is needed`);
      for (;;) {
        const next = await answer(ask, prompt, answers.length > 0);
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

function fromOption<Answer>(prompt: Prompt<Answer>, given: string): Answer {
  try {
    return prompt.read(given.trim());
  } catch (error) {
    throw error instanceof WrongAnswer ? new UsageError(`--${prompt.option}: ${error.message}`) : error;
  }
}
