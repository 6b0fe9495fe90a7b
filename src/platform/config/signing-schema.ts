import { AT_START, duration, keysFile, secret } from './values.ts';

/** Of both processes: each signs statements about who is calling, forward-auth for the relay, the relay for MCP servers. */
export const signing = {
  lifetime: duration('how long one signature is worth something').prefault('60s'),
  keys: secret('JWK Set of private keys; the first signs, all are published. Absent: made at start and rotated')
    .optional()
    .meta(AT_START),
  keysPath: keysFile('file with that JWK Set').meta(AT_START),
  rotate: duration('how often keys made at start are replaced').prefault('24h').meta(AT_START),
};
