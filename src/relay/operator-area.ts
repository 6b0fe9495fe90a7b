import type { OperatorArea } from '../platform/operator-api.ts';

/** Where operators of the relay ask. */
export const RELAY_AREA: OperatorArea = {
  paths: /^\/(?:pins|migration)(?:\/|$)/,
  tokenKey: 'relay.operatorToken',
  help: 'postern --help',
};
