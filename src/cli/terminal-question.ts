import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** Asks at the terminal; undefined where the person ends it by Ctrl-C or Ctrl-D. */
export function askAtTerminal(text: string, hidden = false): Promise<string | undefined> {
  const { stdin: input, stderr } = process;
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: hidden ? nowhere : stderr, terminal: true });
  if (hidden) stderr.write(text);
  return new Promise((resolve) => {
    let answer: string | undefined;
    // Its own listeners of `close` let go of the terminal.
    lines.once('close', () => {
      if (hidden || answer === undefined) stderr.write('\n');
      resolve(answer);
    });
    lines.question(hidden ? '' : text, (given) => {
      answer = given;
      lines.close();
    });
  });
}
