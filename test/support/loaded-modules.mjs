// Imported before a program, writes the address of each module that it loads on standard error.

import { register } from 'node:module';

const hooks = `import { writeSync } from 'node:fs';
export async function load(url, context, next) { writeSync(2, url + '\\n'); return next(url, context); }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
