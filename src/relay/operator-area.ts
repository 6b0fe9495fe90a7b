import type { OperatorArea } from '../platform/operator-api.ts';

/** Where operators of the relay ask. */
export const RELAY_AREA: OperatorArea = {
  paths: /^\/(?:pins|migration|suspensions)(?:\/|$)/,
  tokenKey: 'relay.operatorToken',
  help: 'postern --help',
};
