/** Why the relay does not read a message. `message` and `data` are for the client. */
export interface Malformed {
  readonly status: 400;
  readonly reason: 'invalid_json' | 'batch' | 'invalid_message' | 'protocol_version' | 'header_mismatch';
  readonly message: string;
  /** JSON-RPC error code. */
  readonly code: number;
  readonly data?: object;
}
