import type { FileHandle } from 'node:fs/promises';

export interface LastLine {
  /** The last whole line; empty where there is none. */
  readonly text: string;
  /** Offset of the first byte after it, without its newline. */
  readonly end: number;
  /** Whether a newline follows it. */
  readonly terminated: boolean;
}

/** Bytes that are read at first. */
const FIRST_READ = 65_536;
/** Bytes. Names are bounded, but a recorded call has as many arguments as a message can hold, and escapes make them longer. */
const MAX_TAIL = 256 * 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The last whole line of a file of JSON lines, however long it is, and where it ends. What a crash left half written after it is
 * passed over; a line that only lacks its newline is whole, because no beginning of a JSON object is one itself.
 *
 * @throws RangeError where 256 MiB at the end hold no line
 */
export async function readLastLine(file: FileHandle, size: number, maxTail: number = MAX_TAIL): Promise<LastLine> {
  for (let length = Math.min(size, FIRST_READ); ; length = Math.min(size, length * 2)) {
    const found = lastLineOf(await readTail(file, size, length), length === size);
    if (found !== undefined) return { ...found, end: size - length + found.end };
    if (length >= maxTail) throw new RangeError(`no line ends in its last ${length} bytes`);
  }
}

async function readTail(file: FileHandle, size: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(buffer, at, length - at, size - length + at);
    if (bytesRead === 0) throw new RangeError('it became shorter while it was read');
    at += bytesRead;
  }
  return buffer;
}

/** @param isAll nothing is before the tail @returns undefined where more of the file must be read */
function lastLineOf(tail: Buffer, isAll: boolean): LastLine | undefined {
  const newline = tail.lastIndexOf(NEWLINE);
  if (newline === -1 && !isAll) return undefined;
  const rest = tail.toString('utf8', newline + 1);
  if (isWhole(rest)) return { text: rest, end: tail.length, terminated: false };
  if (newline === -1) return { text: '', end: 0, terminated: false };
  const before = newline === 0 ? -1 : tail.lastIndexOf(NEWLINE, newline - 1);
  if (before === -1 && !isAll) return undefined;
  return { text: tail.toString('utf8', before + 1, newline), end: newline, terminated: true };
}

function isWhole(text: string): boolean {
  if (!text.endsWith('}')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
