import { apiKeys } from './api-keys.ts';
import { audit } from './audit.ts';
import { auth } from './auth.ts';
import { check } from './check.ts';
import { clients } from './clients.ts';
import type { Terminal } from './command.ts';
import { completionOf } from './completion.ts';
import { config } from './config.ts';
import { type Commands, dispatch } from './dispatch.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { grants } from './grants.ts';
import { health } from './health.ts';
import { init } from './init.ts';
import { migration } from './migration.ts';
import { pins } from './pins.ts';
import { relay } from './relay.ts';
import { secrets } from './secrets.ts';
import { sessions } from './sessions.ts';
import { suspend, unsuspend } from './suspend.ts';
import { up } from './up.ts';
import { verify } from './verify.ts';

export const COMMANDS: Commands = {
  up,
  init,
  auth,
  relay,
  health,
  check,
  doctor,
  verify,
  explain,
  config,
  secrets,
  sessions,
  suspend,
  unsuspend,
  'api-keys': apiKeys,
  clients,
  grants,
  audit,
  pins,
  migration,
  completion: completionOf(() => COMMANDS),
};

/** The `postern` command, see {@link dispatch}. */
export function main(argv: string[], terminal?: Terminal): Promise<number> {
  return dispatch(COMMANDS, argv, terminal);
}
