import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { ConfigurationError } from '../errors.ts';
import type { AuditSink } from './audit-sink.ts';
import { readLastLine } from './last-line.ts';

export interface FileSinkOptions {
  readonly path: string;
  /** Bytes. */
  readonly maxSize: number;
  /** Milliseconds. */
  readonly maxAge: number;
  readonly maxFiles: number;
  readonly sync: 'never' | 'always';
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** For whoever runs the process and their group. */
const MODE = 0o640;

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
      return new FileSink(options, { ...opened, size: end }, lastLine || (await lastOf(`${options.path}.1`)));
    } catch (cause) {
      throw unusable(options.path, cause);
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
    const { path, maxSize, maxAge, maxFiles, now } = this.#options;
    if (this.#size === 0 || (this.#size + coming <= maxSize && now() - this.#begun < maxAge)) return;
    await this.#file.datasync();
    await rm(`${path}.${maxFiles}`, { force: true });
    for (let number = maxFiles - 1; number >= 1; number--)
      await renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
    if (maxFiles > 0) await rename(path, `${path}.1`);
    else await rm(path);
    const before = this.#file;
    const opened = await openFile(path, now);
    this.#file = opened.file;
    this.#size = opened.size;
    this.#begun = opened.begun;
    await before.close();
  }
}

/** What to do, by the system's code. */
const FIX: Readonly<Record<string, string>> = {
  ENOENT: 'its folder is missing: make it, or name another',
  ENOTDIR: 'its folder is a file: name another',
  EISDIR: 'it is a folder: name a file in it',
  EACCES: 'the user of the process may not write there: give that user the folder',
  EROFS: 'the file system is read-only: mount it writable, or name another folder',
};

function unusable(path: string, cause: unknown): ConfigurationError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const why =
    cause instanceof RangeError
      ? `is not an audit file: ${message}`
      : `cannot be opened (${code})${code in FIX ? `; ${FIX[code]}` : ''}`;
  return new ConfigurationError([`audit.file.path: ${path} ${why}`], cause);
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

/** What a crash left half written is written over. */
async function readEnd({ file, size }: OpenedFile): Promise<{ lastLine: string; end: number }> {
  const { text, end, terminated } = await readLastLine(file, size);
  if (text !== '' && !terminated) await file.write('\n', end);
  const next = text === '' && !terminated ? end : end + 1;
  if (next < size) await file.truncate(next);
  return { lastLine: text, end: next };
}

async function lastOf(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    return (await readLastLine(file, size)).text;
  } finally {
    await file.close();
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
