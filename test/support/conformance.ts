import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';

export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;
export type Revision = (typeof REVISIONS)[number];
/** Scenarios that count for a revision; the package runs some more, which it does not score. */
export const SCORED = { '2025-11-25': 30, '2026-07-28': 37 } as const;

/** Paths of the conformance package of the MCP project, and of a Node that runs it. */
export interface Programs {
  readonly node: string;
  readonly program: string;
}

export interface Outcome {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly output: string;
}

/** Runs a program of the package, whose exit code says nothing that its summary does not say better. */
export function runConformance(
  { node, program }: Programs,
  args: readonly string[],
  onOutput: (output: string) => void = () => {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      node,
      [program, ...args],
      { timeout: 240_000, maxBuffer: 64 * 1024 * 1024, env: { PATH: `${dirname(node)}:${process.env.PATH}` } },
      (_error, stdout, stderr) => {
        const [, summary = ''] = stdout.split('=== SUMMARY ===');
        const [scored = ''] = summary.split('Total:');
        const names = (mark: string) =>
          [...scored.matchAll(new RegExp(`^${mark} ([\\w-]+):`, 'gm'))].map(([, n = '']) => n);
        resolve({ passed: names('✓'), failed: names('✗'), output: stdout + stderr });
      },
    );
    let output = '';
    child.stdout?.on('data', (text: string) => {
      output += text;
      onOutput(output);
    });
    child.stderr?.on('data', (text: string) => {
      output += text;
      onOutput(output);
    });
  });
}

/** What the package runs beside the scored scenarios: not required, or of extensions that the server does not have. */
function unscored({ output }: Outcome): ReadonlySet<string> {
  const [, list = ''] = output.split('Not scored for');
  return new Set([...list.matchAll(/^\s+[✓✗] ([\w-]+) \(/gm)].map(([, name = '']) => name));
}

/** Runs the scenarios of one revision against a server, those that are scored. */
export async function runServerScenarios(programs: Programs, url: string, revision: Revision): Promise<Outcome> {
  const outcome = await runConformance(programs, ['server', '--url', url, '--requirements', revision]);
  const others = unscored(outcome);
  const scored = (names: readonly string[]) => names.filter((name) => !others.has(name));
  assert.ok(outcome.passed.length > 0, outcome.output);
  return { passed: scored(outcome.passed), failed: scored(outcome.failed), output: outcome.output };
}
