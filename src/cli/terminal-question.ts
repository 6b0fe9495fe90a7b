import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** One question at the terminal; undefined where the person ends it by Ctrl-C or Ctrl-D. */
export function askAtTerminal(question: string, hidden = false): Promise<string | undefined> {
  const { stdin: input, stderr } = process;
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: hidden ? nowhere : stderr, terminal: true });
  if (hidden) stderr.write(question);
  return new Promise((resolve) => {
    lines.once('close', () => {
      stderr.write('\n');
      resolve(undefined);
    });
    lines.question(hidden ? '' : question, (answer) => {
      resolve(answer);
      lines.removeAllListeners('close');
      lines.close();
      if (hidden) stderr.write('\n');
    });
  });
}
