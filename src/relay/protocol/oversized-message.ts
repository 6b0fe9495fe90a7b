import { parseJson } from './json.ts';
import { type Id, isId } from './json-rpc.ts';

/** A message that is larger than any that is read: what is known of it without holding it. */
export interface OversizedMessage {
  /** Of the message; undefined: a notification, or the id was not found. */
  readonly id: Id | undefined;
  /** Whether it is a request or notification, and not an answer. */
  readonly isRequest: boolean;
  /** Characters. */
  readonly size: number;
}

/** How many times the limit a message may be before its further bytes count as noise: it may have no end. */
export const ENDLESS = 8;

/** Characters of a member's name or value that are kept; those that are looked for are shorter. */
const KEPT = 256;

/** Looks for the id of a JSON-RPC message that comes in pieces and is not held: in one pass, in bounded memory. */
export class OversizedScan {
  #size = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The name of the top-level member that is being read; undefined: before its colon. */
  #name: string | undefined;
  #text = '';
  #id: Id | undefined;
  #isRequest = false;

  get size(): number {
    return this.#size;
  }

  push(part: string): void {
    this.#size += part.length;
    for (let at = 0; at < part.length; at++) this.#read(part[at] as string);
  }

  end(): OversizedMessage {
    return { id: this.#id, isRequest: this.#isRequest, size: this.#size };
  }

  #read(character: string): void {
    if (this.#inString) return void this.#readString(character);
    if (this.#depth === 1) {
      if (character === ':' && this.#name === undefined) {
        this.#name = parsed(this.#text) as string | undefined;
        this.#text = '';
        if (this.#name === 'method') this.#isRequest = true;
        return;
      }
      if (character === ',' || character === '}') this.#endMember();
      else this.#keep(character);
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') this.#depth -= 1;
  }

  #readString(character: string): void {
    if (this.#depth === 1) this.#keep(character);
    if (this.#escaped) this.#escaped = false;
    else if (character === '\\') this.#escaped = true;
    else if (character === '"') this.#inString = false;
  }

  #keep(character: string): void {
    if (this.#text.length < KEPT) this.#text += character;
  }

  #endMember(): void {
    if (this.#name === 'id') {
      const value = parsed(this.#text);
      if (isId(value)) this.#id = value;
    }
    this.#name = undefined;
    this.#text = '';
  }
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
