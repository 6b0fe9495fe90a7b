import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SealingKey } from '../../platform/sealing/sealing.ts';
import { parseJson, writeJson } from '../protocol/json.ts';
import type { Id } from '../protocol/json-rpc.ts';

const MAX_LENGTH = 4096;

/**
 * Ids of the servers' own requests to the client. Two servers may use the same one, so the client sees an id that holds the
 * server too, and every replica can read it. It is signed: an answer goes only to a server that has asked this user. The same
 * request always has the same id, so that the server can take it back.
 */
export class ServerRequestIds {
  readonly #keys: () => readonly SealingKey[];

  /** @param keys the first signs, all are believed */
  constructor(keys: () => readonly SealingKey[]) {
    this.#keys = keys;
  }

  /** @param owner from `ownerKey(identity)` */
  toClient(owner: string, server: string, id: Id): string {
    const content = Buffer.from(writeJson([server, id])).toString('base64url');
    return `${content}.${sign(this.#keys()[0] as SealingKey, owner, content).toString('base64url')}`;
  }

  /** @returns undefined where no server has asked this user with that id */
  toServer(owner: string, id: unknown): { server: string; id: Id } | undefined {
    if (typeof id !== 'string' || id.length > MAX_LENGTH) return undefined;
    const [content = '', signature = '', ...more] = id.split('.');
    const given = Buffer.from(signature, 'base64url');
    const isOurs = this.#keys().some((key) => {
      const wanted = sign(key, owner, content);
      return given.length === wanted.length && timingSafeEqual(given, wanted);
    });
    if (more.length > 0 || !isOurs) return undefined;
    const [server, own] = parseJson(Buffer.from(content, 'base64url').toString()) as [string, Id];
    return { server, id: own };
  }
}

function sign({ key }: SealingKey, owner: string, content: string): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify(['server request', owner, content]))
    .digest();
}
