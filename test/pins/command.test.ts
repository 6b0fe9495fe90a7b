import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { EXIT_UNEXPECTED } from '../../src/cli/command.ts';
import { POSTERN_COMMAND } from '../support/postern-process.ts';

function postern(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...POSTERN_COMMAND, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr });
    });
  });
}

describe('pinned command', () => {
  for (const name of [
    'up',
    'init',
    'auth',
    'relay',
    'health',
    'check',
    'doctor',
    'verify',
    'explain',
    'config reference',
    'config schema',
    'config texts',
    'secrets',
    'sessions',
    'api-keys',
    'clients',
    'grants',
    'migration',
    'completion',
  ])
    it(`\`postern ${name}\` is in the help`, async () => {
      const { code, output } = await postern('--help');
      assert.equal(code, 0);
      assert.match(output, new RegExp(`\\b${name.replace(' ', '\\s+(\\S*\\|)?')}\\b`));
    });

  it('a wrong configuration ends with 78 before anything listens', async () => {
    const { code, output } = await postern('check', '--config', '/nonexistent/postern.yaml');
    assert.equal(code, 78);
    assert.match(output, /\/nonexistent\/postern\.yaml/);
  });

  // `test/cli/unexpected.test.ts` lets both processes end with it.
  it('a failure that nobody caught ends a process with 70', () => {
    assert.equal(EXIT_UNEXPECTED, 70);
  });
});
