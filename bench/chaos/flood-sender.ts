import { once } from 'node:events';
import { flood } from '../../test/support/flood.ts';
import { FIELDS } from './flood-fields.ts';

/** The first message that this process gets; the second ends the flood, and the answer is how often each status came. */
export interface FloodOrder {
  /** Of the flood, see `FIELDS`. */
  readonly name: string;
  readonly port: number;
  readonly connections: number;
  /** A request without the lines of the flood, which stand before its last empty line. */
  readonly text: string;
  /** Tokens that were never seen. */
  readonly fresh: readonly string[];
}

const [order] = (await once(process, 'message')) as [FloodOrder];
const { name, port, connections, text, fresh } = order;
const fields = FIELDS[name];
if (fields === undefined) throw new Error(`there is no flood of ${name}`);
const stop = new AbortController();
process.once('message', () => stop.abort());
const head = text.slice(0, -2);
const next = () => `${head}${fields(fresh).join('\r\n')}\r\n\r\n`;
const { statuses } = await flood(port, connections, next, stop.signal);
process.send?.(statuses);
