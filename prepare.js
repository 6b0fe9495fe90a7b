// `npm ci` and `npm install` build. With `--omit=dev` there is no compiler, and what was built before stays.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

if (existsSync('node_modules/typescript')) {
  process.exit(spawnSync('npm run build', { stdio: 'inherit', shell: true }).status ?? 1);
} else if (!existsSync('dist/cli/main.js')) {
  process.stderr.write('Nothing is built: run `npm ci`, which builds, and then `npm ci --omit=dev`.\n');
  process.exit(1);
}
