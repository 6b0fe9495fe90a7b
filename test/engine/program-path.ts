// Prints where the program of an image is on this machine, fetched or built if it must be, and what else the image has built
// in: for engine.sh.

import { findLocalProgram } from '../support/compose/local-programs.ts';

const image = process.argv[2] ?? '';
const context = {
  timeout: () => {},
  skip: () => {
    throw new Error(`no program for ${image}`);
  },
} as unknown as Mocha.Context;
const { entrypoint, names, further = [] } = await findLocalProgram(context, image);
console.log([entrypoint[0] ?? Object.values(names)[0]?.[0], ...further].join('\n'));
