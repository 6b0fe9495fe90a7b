import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { ConfigurationError } from '../errors.ts';
import type { AuditSink } from './audit-sink.ts';

export interface FileSinkOptions {
  readonly path: string;
  /** Bytes. */
  readonly maxSize: number;
  /** Milliseconds. */
  readonly maxAge: number;
  readonly keep: number;
  readonly sync: 'never' | 'always';
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** For whoever runs the process and their group. */
const MODE = 0o640;
/** Bytes at the end of a file that are looked through for its last line. */
const TAIL = 65_536;

/** A file that is followed by another one when it is large or old: `path`, `path.1` and so on, the last of which goes. */
export class FileSink implements AuditSink {
  readonly name = 'file';
  readonly lastLine: string | undefined;
  readonly #options: FileSinkOptions;
  #file: FileHandle;
  #size: number;
  #begun: number;

  private constructor(options: FileSinkOptions, opened: OpenedFile, lastLine: string | undefined) {
    this.#options = options;
    this.#file = opened.file;
    this.#size = opened.size;
    this.#begun = opened.begun;
    this.lastLine = lastLine;
  }

  /** @throws ConfigurationError where the file cannot be opened */
  static async open(options: FileSinkOptions): Promise<FileSink> {
    try {
      const opened = await openFile(options.path, options.now);
      const { lastLine, end } = await readEnd(opened);
      return new FileSink(options, { ...opened, size: end }, lastLine ?? (await lastOf(`${options.path}.1`)));
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new ConfigurationError([`audit.file.path: ${options.path} cannot be opened (${code})`], cause);
    }
  }

  async write(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    await this.#rotate(bytes.length);
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#size + at);
        at += bytesWritten;
      }
      if (this.#options.sync === 'always') await this.#file.datasync();
    } catch (error) {
      // A line that is half there would be half a line for ever: what is to be written again begins where it began.
      await this.#file.truncate(this.#size).catch(() => undefined);
      throw error;
    }
    this.#size += bytes.length;
  }

  async close(): Promise<void> {
    await this.#file.datasync().catch(() => undefined);
    await this.#file.close();
  }

  async #rotate(coming: number): Promise<void> {
    const { path, maxSize, maxAge, keep, now } = this.#options;
    if (this.#size === 0 || (this.#size + coming <= maxSize && now() - this.#begun < maxAge)) return;
    await this.#file.datasync();
    await rm(`${path}.${keep}`, { force: true });
    for (let number = keep - 1; number >= 1; number--)
      await renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
    if (keep > 0) await rename(path, `${path}.1`);
    else await rm(path);
    const before = this.#file;
    const opened = await openFile(path, now);
    this.#file = opened.file;
    this.#size = opened.size;
    this.#begun = opened.begun;
    await before.close();
  }
}

interface OpenedFile {
  readonly file: FileHandle;
  readonly size: number;
  readonly begun: number;
}

async function openFile(path: string, now: () => number): Promise<OpenedFile> {
  // Not for appending: a write that failed half way is written over.
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, MODE);
  const { size, birthtimeMs } = await file.stat();
  return { file, size, begun: size > 0 && birthtimeMs > 0 ? birthtimeMs : now() };
}

/** The last whole line, and where it ends: what a crash left half written is written over. */
async function readEnd({ file, size }: OpenedFile): Promise<{ lastLine: string | undefined; end: number }> {
  const length = Math.min(size, TAIL);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
  const newline = buffer.subarray(0, bytesRead).lastIndexOf(0x0a);
  if (newline === -1) return { lastLine: undefined, end: length === TAIL ? size : 0 };
  const end = size - bytesRead + newline + 1;
  if (end < size) await file.truncate(end);
  const text = buffer.toString('utf8', 0, newline);
  return { lastLine: text.slice(text.lastIndexOf('\n') + 1), end };
}

async function lastOf(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8').trimEnd().split('\n').at(-1);
  } finally {
    await file.close();
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
