import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { hashOf, linkOf } from './hash-chain.ts';

/** What a chain of files was found to be. */
export interface ChainReport {
  readonly lines: number;
  /** Number and hash of the first line's predecessor: not 1 where older files are gone. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly lastHash: string;
  /** Where the chain is broken, the first few, each with file, line and what is wrong. */
  readonly problems: readonly string[];
}

const MAX_PROBLEMS = 20;

/**
 * Follows the hashes through files, oldest first.
 *
 * @param key where the chain is keyed
 * @param since a hash that must be among them
 * @throws an error of the file system where a file cannot be read
 */
export async function verifyChain(
  files: readonly string[],
  key: string | undefined,
  since?: string,
): Promise<ChainReport> {
  let lines = 0;
  let firstSeq = 0;
  let sinceFound = since === undefined;
  let last: { seq: number; hash: string } | undefined;
  const problems: string[] = [];
  for (const file of files) {
    let number = 0;
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      lines += 1;
      const found = (problem: string) => {
        if (problems.length < MAX_PROBLEMS) problems.push(`${file}:${number}: ${problem}`);
      };
      const link = linkOf(line);
      if (link === undefined) {
        found('is not a line of a chain');
        continue;
      }
      if (hashOf(link.text, key) !== link.hash) found('was changed, or the key is another one');
      if (last === undefined) {
        firstSeq = link.seq;
        if (link.seq === 1 && link.previous !== '') found('claims to be the first and is not');
      } else if (link.previous !== last.hash || link.seq !== last.seq + 1)
        found(`does not follow line ${last.seq} of the chain: lines were removed, added or moved`);
      sinceFound ||= link.hash === since;
      last = link;
    }
  }
  if (!sinceFound)
    problems.push(`${files.at(-1)}: the hash ${since} is not in the chain: what came with it was removed`);
  if (lines === 0) problems.push(`${files.at(-1)}: has no lines`);
  return { lines, firstSeq, lastSeq: last?.seq ?? 0, lastHash: last?.hash ?? '', problems };
}
