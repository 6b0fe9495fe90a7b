import { readFileSync, writeFileSync } from 'node:fs';
import { FILES, written } from './files.ts';

for (const file of Object.keys(FILES)) {
  const url = new URL(`../${file}`, import.meta.url);
  writeFileSync(url, written(file, readFileSync(url, 'utf8')));
}
