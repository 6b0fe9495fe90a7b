import { StringDecoder } from 'node:string_decoder';
import { type OversizedMessage, OversizedScan } from '../../protocol/oversized-message.ts';

/** RFC 6455 §5.2. */
const FIN = 0x80;
const OPCODE = 0x0f;
const RESERVED = 0x70;
const MASKED = 0x80;
const LENGTH = 0x7f;
const CLOSE = 8;
const NOTHING = Buffer.alloc(0);
/** A frame that no server may send: `ws` ends the connection with 1002. */
const INVALID = Buffer.from([0x83, 0]);

/** The frame whose payload comes. */
interface Frame {
  readonly opcode: number;
  readonly isLast: boolean;
  /** Bytes that are still to come. */
  left: number;
}

/** A data message that has not come whole. */
interface Begun {
  /** Text or binary. */
  readonly opcode: number;
  size: number;
  /** What has come of several frames: it goes on in one. Undefined: it goes on as it comes, or is too much. */
  held: Buffer[] | undefined;
  tooLarge: Scan | undefined;
}

class Scan {
  readonly #decoder = new StringDecoder('utf8');
  readonly scan = new OversizedScan();

  push(payload: Buffer): void {
    this.scan.push(this.#decoder.write(payload));
  }
}

/**
 * The frames that a server sends, without the messages above the limit: `ws` would end the connection at one. In the place of each stands
 * an empty message, so that whoever counts messages knows which one it was.
 */
export class WebSocketFrames {
  readonly #limit: number;
  /** By the number of the message in the connection. */
  readonly #oversized = new Map<number, OversizedMessage>();
  #head: Buffer = NOTHING;
  #frame: Frame | undefined;
  #message: Begun | undefined;
  #messages = 0;
  #closed = false;
  /** Bytes of messages above the limit, and of the one that comes now. */
  skipped = 0;
  skipping = 0;

  /** @param limit bytes of one message */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param index of the message, from 0 @returns undefined where it is as the server sent it */
  takeOversized(index: number): OversizedMessage | undefined {
    const found = this.#oversized.get(index);
    this.#oversized.delete(index);
    return found;
  }

  /** @returns what goes on, in order */
  push(chunk: Buffer): readonly Buffer[] {
    const passing: Buffer[] = [];
    let rest = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    this.#head = NOTHING;
    while (rest.length > 0 && !this.#closed) {
      if (this.#frame === undefined) {
        const size = headSize(rest);
        if (rest.length < size) {
          this.#head = rest;
          break;
        }
        this.#begin(rest.subarray(0, size), passing);
        rest = rest.subarray(size);
      }
      rest = this.#read(rest, passing);
    }
    return passing;
  }

  #begin(head: Buffer, passing: Buffer[]): void {
    const [first = 0, second = 0] = head;
    const opcode = first & OPCODE;
    const isLast = (first & FIN) !== 0;
    const frame = { opcode, isLast, left: payloadSize(head) };
    this.#frame = frame;
    const isData = opcode < CLOSE;
    const isInOrder = !isData || (opcode === 0) !== (this.#message === undefined);
    if ((first & RESERVED) !== 0 || (second & MASKED) !== 0 || !isInOrder || !Number.isSafeInteger(frame.left)) {
      this.#closed = true;
      return void passing.push(INVALID);
    }
    if (!isData) return void passing.push(head);
    this.#message ??= { opcode, size: 0, held: isLast ? undefined : [], tooLarge: undefined };
    const message = this.#message;
    message.size += frame.left;
    if (message.size > this.#limit && message.tooLarge === undefined) {
      message.tooLarge = new Scan();
      for (const payload of message.held ?? []) this.#skip(payload, message.tooLarge);
      message.held = undefined;
    } else if (message.tooLarge === undefined && message.held === undefined) passing.push(head);
  }

  /** @returns what is behind the frame, or behind as much of it as has come */
  #read(rest: Buffer, passing: Buffer[]): Buffer {
    const frame = this.#frame as Frame;
    const payload = rest.subarray(0, frame.left);
    frame.left -= payload.length;
    const message = frame.opcode >= CLOSE ? undefined : this.#message;
    if (payload.length > 0) {
      if (message?.tooLarge !== undefined) this.#skip(payload, message.tooLarge);
      else (message?.held ?? passing).push(payload);
    }
    if (frame.left === 0) {
      this.#frame = undefined;
      if (frame.opcode === CLOSE) this.#closed = true;
      if (message !== undefined && frame.isLast) this.#end(message, passing);
    }
    return rest.subarray(payload.length);
  }

  #skip(payload: Buffer, scan: Scan): void {
    this.skipped += payload.length;
    this.skipping += payload.length;
    scan.push(payload);
  }

  #end({ opcode, held, tooLarge, size }: Begun, passing: Buffer[]): void {
    this.#message = undefined;
    if (tooLarge !== undefined) {
      this.#oversized.set(this.#messages, { ...tooLarge.scan.end(), size });
      passing.push(headOf(opcode, 0));
      this.skipping = 0;
    } else if (held !== undefined) passing.push(headOf(opcode, size), ...held);
    this.#messages += 1;
  }
}

/** Of a message in one frame. */
function headOf(opcode: number, size: number): Buffer {
  const head = Buffer.alloc(size < 126 ? 2 : 10);
  head[0] = FIN | opcode;
  if (size < 126) head[1] = size;
  else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  }
  return head;
}

/** Bytes before the payload of the frame that begins here. */
function headSize(bytes: Buffer): number {
  if (bytes.length < 2) return 2;
  const second = bytes[1] as number;
  const length = second & LENGTH;
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & MASKED) === 0 ? 0 : 4);
}

function payloadSize(head: Buffer): number {
  const length = (head[1] as number) & LENGTH;
  if (length === 126) return head.readUInt16BE(2);
  return length === 127 ? Number(head.readBigUInt64BE(2)) : length;
}
