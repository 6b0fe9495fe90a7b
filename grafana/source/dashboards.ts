import { FORWARD_AUTH } from './forward-auth.ts';
import { OVERVIEW } from './overview.ts';
import { RELAY } from './relay.ts';
import { RUNTIME } from './runtime.ts';
import { SECURITY } from './security.ts';
import type { Dashboard } from './spec.ts';

/** Every dashboard that comes with Postern. */
export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, FORWARD_AUTH, RELAY, SECURITY, RUNTIME];
