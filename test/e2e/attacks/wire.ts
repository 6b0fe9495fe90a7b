import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Where clients connect; with an authority: by TLS. */
export interface Front {
  readonly port: number;
  readonly ca?: Buffer;
}

export interface Exchange {
  /** Bytes, one character each (latin1), exactly as they go out. */
  readonly bytes: string;
  /** How many answers to wait for. */
  readonly responses?: number;
  /** From which address of this machine. */
  readonly from?: string;
  /** Milliseconds until silence counts as a refusal. */
  readonly patience?: number;
}

export interface Answered {
  /** Of every whole answer; empty where the connection was closed, or nothing came. */
  readonly statuses: readonly number[];
  readonly text: string;
}

/** Says something on a socket that no HTTP client would say, and collects what comes back. */
export function exchange(
  front: Front | number,
  { bytes, responses = 1, from, patience = 900 }: Exchange,
): Promise<Answered> {
  return new Promise((resolve) => {
    let text = '';
    const { port, ca } = typeof front === 'number' ? { port: front } : front;
    const to = { host: '127.0.0.1', port, ...(from === undefined ? {} : { localAddress: from }) };
    const socket = ca === undefined ? connect(to) : connectTls({ ...to, ca });
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ statuses: wholeAnswers(text), text });
    };
    const timer = setTimeout(end, patience);
    socket.on(ca === undefined ? 'connect' : 'secureConnect', () => socket.write(bytes, 'latin1'));
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (wholeAnswers(text).length >= responses) end();
    });
    // A reset is one way to refuse.
    socket.on('error', end);
    socket.on('close', end);
  });
}

export interface Answer {
  readonly status: number;
  readonly head: string;
  /** Where the next one begins. */
  readonly end: number;
}

/** @returns the first answer in a text, or undefined where it has not arrived whole */
export function takeAnswer(text: string, method = 'GET'): Answer | undefined {
  const head = text.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const fields = text.slice(0, head);
  const status = Number(/^HTTP\/1\.[01] ([0-9]{3})/.exec(fields)?.[1] ?? 0);
  const length = /^content-length: *([0-9]+)/im.exec(fields)?.[1];
  let end = head + 4;
  if (method === 'HEAD') return { status, head: fields, end };
  if (/^transfer-encoding: *chunked/im.test(fields)) {
    const last = text.indexOf('0\r\n\r\n', end);
    if (last === -1) return undefined;
    end = last + 5;
  } else if (length !== undefined) end += Number(length);
  return end > text.length ? undefined : { status, head: fields, end };
}

/** Statuses of the answers that have arrived whole; 1xx are no answers, but 101 ends HTTP. */
function wholeAnswers(text: string): number[] {
  const statuses: number[] = [];
  let rest = text;
  while (true) {
    const answer = takeAnswer(rest);
    if (answer === undefined) return statuses;
    const { status, end } = answer;
    if (status === 101 || status >= 200) statuses.push(status);
    if (status === 101) return statuses;
    rest = rest.slice(end);
  }
}

/** A request of raw lines; a Host line is added unless one of them, or `host: null`, says otherwise. */
export function written(options: {
  readonly method?: string;
  readonly target: string;
  readonly version?: string;
  readonly host?: string | null;
  readonly lines?: readonly string[];
  readonly body?: string;
}): string {
  const { method = 'GET', target, version = 'HTTP/1.1', host, lines = [], body } = options;
  const head = [
    `${method} ${target} ${version}`,
    ...(host === null ? [] : [`Host: ${host ?? '127.0.0.1'}`]),
    ...lines,
    ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`]),
  ];
  return `${head.join('\r\n')}\r\n\r\n${body ?? ''}`;
}
