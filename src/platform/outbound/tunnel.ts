import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import type { Socket } from 'node:net';
import { PosternError } from '../errors.ts';
import type { OutboundProxy } from './proxies.ts';

/** The proxy does not lead there. The message names the variable, the proxy without its password, and the host. */
class ProxyFailed extends PosternError {
  constructor({ variable, origin }: OutboundProxy, target: string, why: string, cause?: unknown) {
    super('outbound_proxy', `${variable}: ${origin} does not connect to ${target}: ${why}`, { status: 502, cause });
  }
}

/**
 * A connection to a host through a proxy (RFC 9110 §9.3.6). Plain http goes the same way as https, so that nothing of a
 * request is the proxy's to read or to change.
 *
 * @param timeout milliseconds
 * @throws PosternError where the proxy cannot be reached or refuses
 */
export function tunnel(proxy: OutboundProxy, host: string, port: number, timeout: number): Promise<Socket> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const request = proxy.secure ? requestSecure : requestPlain;
  const headers = {
    Host: target,
    ...(proxy.authorization === undefined ? {} : { 'Proxy-Authorization': proxy.authorization }),
  };
  return new Promise((resolve, reject) => {
    const asked = request({
      ...{ host: proxy.host, port: proxy.port, method: 'CONNECT', path: target, headers, agent: false },
    });
    const late = setTimeout(() => asked.destroy(new Error(`no answer within ${timeout} ms`)), timeout);
    const fail = (why: string, cause?: unknown) => {
      clearTimeout(late);
      reject(new ProxyFailed(proxy, target, why, cause));
    };
    asked.once('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      if (statusCode >= 200 && statusCode < 300) {
        clearTimeout(late);
        if (head.length > 0) socket.unshift(head);
        return resolve(socket);
      }
      socket.on('error', () => {}).destroy();
      fail(refusal(statusCode, proxy));
    });
    // A proxy that does not know CONNECT answers as to any other request.
    asked.once('response', (answer) => {
      answer.on('error', () => {}).destroy();
      fail(refusal(answer.statusCode ?? 0, proxy));
    });
    asked.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
    asked.end();
  });
}

function refusal(status: number, { authorization, variable }: OutboundProxy): string {
  if (status !== 407) return `it answered ${status}`;
  return authorization === undefined
    ? `it answered 407: put user and password into ${variable}`
    : `it answered 407: it does not take the user and password of ${variable}`;
}
