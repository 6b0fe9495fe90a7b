import { isExact } from './json.ts';
import { scanJson } from './json-scanner.ts';

/** Texts below it weigh what they are long: many of them are bounded by their number. */
const SMALL = 4_096;
/** Bytes that V8 takes for each beside its text, with its place in what holds it. */
const OBJECT = 96;
const LIST = 56;
const STRING = 32;
const NUMBER = 16;
/** Of a number that keeps its text, see `JsonNumber`. */
const TEXT_OF_NUMBER = 256;

/**
 * About how many bytes of memory a message takes with its text, once it has been read: a list of empty objects takes thirty times its
 * length. Long strings count once, though the text and what was read may both be there.
 *
 * @param json text of JSON, also one that nobody has read yet
 */
export function weightOf(json: Buffer | string): number {
  let weight = Buffer.byteLength(json);
  if (json.length < SMALL) return weight;
  // What is counted is ASCII, so the letters of other scripts need no decoding.
  const text = typeof json === 'string' ? json : json.toString('latin1');
  scanJson(text, {
    open(isObject) {
      weight += isObject ? OBJECT : LIST;
      return undefined;
    },
    string() {
      weight += STRING;
    },
    number(start, end) {
      weight += isExact(text, start, end) ? NUMBER : TEXT_OF_NUMBER;
    },
  });
  return weight;
}

/** The weight of a message that was read already. */
export function weightOfMessage(message: unknown): number {
  return weightOf(JSON.stringify(message) ?? '');
}
