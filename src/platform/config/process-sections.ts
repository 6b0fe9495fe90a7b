import type { z } from 'zod';

export type ProcessName = 'forward-auth' | 'relay';

/** Part of the configuration that one process runs by alone. */
export const SECTIONS = { 'forward-auth': 'auth', relay: 'relay' } as const satisfies Record<ProcessName, string>;

export function otherProcess(process: ProcessName): ProcessName {
  return process === 'relay' ? 'forward-auth' : 'relay';
}

/**
 * Marks an issue that is there because a secret is absent. Each process is given its own secrets only, so that the other one, which
 * has no use for this one, does not ask for it.
 */
export const LACKS_SECRET = { lacksSecret: true } as const;

export function isLacking(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'custom' && issue.params?.lacksSecret === true;
}

/** Whether an issue of this section goes away with a secret that is absent. */
export function lackedSecret(section: string): (issue: z.core.$ZodIssue) => boolean {
  return (issue) => issue.path[0] === section && isLacking(issue);
}
