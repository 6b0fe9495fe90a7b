import { CallFailure, STATUS } from './status.ts';

/** Bytes before each message: whether it is compressed, and how long it is (PROTOCOL-HTTP2, “Length-Prefixed-Message”). */
const PREFIX = 5;
const NOTHING = Buffer.alloc(0);

/** A message as it goes over the wire. @param parts of the message, in turn */
export function framed(parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const frame = Buffer.allocUnsafe(PREFIX + length);
  frame[0] = 0;
  frame.writeUInt32BE(length, 1);
  let at = PREFIX;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** The one message of a call, out of the pieces in which it comes. It takes twice the bytes that have come, whatever is announced. */
export class OneMessage {
  /** Bytes. */
  readonly #max: number;
  /** Prefix and message, as far as they have come, and room for more. */
  #bytes: Buffer = NOTHING;
  /** Bytes of it that have come. */
  #received = 0;

  /** @param max bytes of the message without its prefix */
  constructor(max: number) {
    this.#max = max;
  }

  /** @throws CallFailure where no message of one call can look so */
  add(piece: Buffer): void {
    // By far the most come in one piece, which need not be copied.
    if (this.#received === 0 && piece.length === this.#lengthOf(piece)) this.#bytes = piece;
    else this.#append(piece);
    this.#received += piece.length;
  }

  /** @returns the message, now that its caller has said all. @throws CallFailure where a part is missing */
  end(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#received);
    if (this.#received !== this.#lengthOf(bytes))
      throw new CallFailure(STATUS.INTERNAL, 'the call ended before its message did');
    return bytes.subarray(PREFIX);
  }

  #append(piece: Buffer): void {
    const received = this.#received + piece.length;
    if (received > this.#bytes.length) {
      const larger = Buffer.alloc(2 * received);
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.#received);
    if (received > (this.#lengthOf(this.#bytes.subarray(0, received)) ?? PREFIX))
      throw new CallFailure(STATUS.INTERNAL, 'one message is expected, and nothing after it');
  }

  /** @returns bytes that the message has with its prefix; undefined until that has come */
  #lengthOf(bytes: Buffer): number | undefined {
    if (bytes.length < PREFIX) return undefined;
    if (bytes[0] !== 0) {
      if (bytes[0] === 1)
        throw new CallFailure(STATUS.UNIMPLEMENTED, 'compressed messages are not read; send them as they are');
      throw new CallFailure(STATUS.INTERNAL, 'the message does not begin as messages of gRPC do');
    }
    const length = bytes.readUInt32BE(1);
    if (length > this.#max)
      throw new CallFailure(STATUS.RESOURCE_EXHAUSTED, `a message of ${length} bytes is larger than ${this.#max}`);
    return PREFIX + length;
  }
}
