/** Those status codes of gRPC that a server gives by itself. Source: https://grpc.io/docs/guides/status-codes. */
export const STATUS = {
  OK: 0,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

/** Why a call fails. The message is told to the caller. */
export class CallFailure extends Error {
  readonly status: Status;

  constructor(status: Status, message: string) {
    super(message);
    this.status = status;
  }
}

/** Header fields or trailers that end a call; the message as gRPC encodes it (PROTOCOL-HTTP2, “Percent-Encoded”). */
export function statusFields({ status, message }: CallFailure): Record<string, string> {
  const bytes = Buffer.from(message).toString('latin1');
  const encoded = bytes.replace(
    /[^\x20-\x24\x26-\x7e]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return { 'grpc-status': String(status), 'grpc-message': encoded };
}
