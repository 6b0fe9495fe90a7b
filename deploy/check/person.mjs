// A browser's cookies, redirects and forms, without the browser and without packages.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** What a browser says of a person's own navigation. */
const NAVIGATION = { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
/** Bytes and milliseconds: more is no answer to a check. */
const MAX_ANSWER = 4 * 1024 * 1024;
const TIMEOUT = 30_000;

/**
 * One request, with exactly these headers. The built-in `fetch` would add its own.
 *
 * @param {URL | string} address
 * @param {{ method?: string, headers?: Record<string, string>, body?: string }} [sent]
 * @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, text: string }>}
 */
export function send(address, { method = 'GET', headers = {}, body } = {}) {
  const url = new URL(address);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    // A connection of its own: one that was kept may be closed at the other end just then, which is no answer to a check.
    const asked = request(url, { method, headers, agent: false, timeout: TIMEOUT }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => {
        text += part;
        if (text.length > MAX_ANSWER) answer.destroy(new Error(`the answer of ${url.origin} is too large`));
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      answer.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error(`${url.origin} does not answer`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Where a page goes on to by itself at once. */
function refreshOf(page) {
  const [tag] = /<meta http-equiv="refresh"[^>]*>/i.exec(page) ?? [];
  return tag === undefined ? undefined : attribute(tag, 'content').replace(/^0;url=/, '');
}

export class Person {
  /** By host without port, as cookies are; then by name. */
  #jar = new Map();
  #name;
  #password;

  constructor(name, password) {
    this.#name = name;
    this.#password = password;
  }

  /** The `Cookie` header for a host. */
  cookie(host) {
    return [...(this.#jar.get(host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** The `Authorization` header of a person who sends name and password. RFC 7617 §2. */
  basic() {
    return `Basic ${Buffer.from(`${this.#name}:${this.#password}`).toString('base64')}`;
  }

  /**
   * Goes wherever it is sent and fills in whatever form it meets, with the name, the password and the first button.
   *
   * @param {URL | string} start
   * @param {string} end where it stops, without asking there
   * @returns {Promise<URL>} the address that begins with `end`
   */
  async go(start, end) {
    let url = new URL(start);
    let form;
    for (let step = 0; step < 25; step++) {
      if (step > 0 && url.href.startsWith(end)) return url;
      const answer = await this.#ask(url, form);
      form = undefined;
      const onwards = answer.headers.location ?? refreshOf(answer.text);
      if (onwards !== undefined) url = new URL(onwards, url);
      else ({ url, form } = this.#fillIn(url, answer));
    }
    throw new Error(`sent around in circles, at last to ${url.origin}${url.pathname}`);
  }

  async #ask(url, form) {
    const cookie = this.cookie(url.hostname);
    const answer = await send(url, {
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        ...NAVIGATION,
        ...(cookie === '' ? {} : { Cookie: cookie }),
        ...(form === undefined
          ? {}
          : {
              'Content-Type': 'application/x-www-form-urlencoded',
              Origin: url.origin,
              'Sec-Fetch-Site': 'same-origin',
            }),
      },
      ...(form === undefined ? {} : { body: form.toString() }),
    });
    for (const line of answer.headers['set-cookie'] ?? []) this.#keep(url.hostname, line);
    return answer;
  }

  #fillIn(url, { status, text }) {
    const [, tag, inside = ''] = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(text) ?? [];
    if (tag === undefined)
      throw new Error(`no form but ${status} at ${url.origin}${url.pathname}: ${text.slice(0, 200)}`);
    const form = new URLSearchParams();
    for (const [input] of inside.matchAll(/<input\b[^>]*>/gi)) {
      const type = attribute(input, 'type') || 'text';
      const name = attribute(input, 'name');
      if (type === 'hidden') form.append(name, attribute(input, 'value'));
      else if (type === 'password') form.append(name, this.#password);
      else if (type === 'text' || type === 'email') form.append(name, this.#name);
    }
    const [button] = /<button\b[^>]*>/i.exec(inside) ?? [];
    if (button !== undefined && attribute(button, 'name') !== '')
      form.append(attribute(button, 'name'), attribute(button, 'value'));
    // A form without an action goes to its own page.
    return { url: new URL(attribute(tag, 'action') || url, url), form };
  }

  #keep(host, line) {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const [name, ...value] = pair.split('=');
    const cookies = this.#jar.get(host) ?? new Map();
    this.#jar.set(host, cookies);
    const gone = attributes.some((text) => /^max-age=0$/i.test(text) || /^expires=.*\b1970\b/i.test(text));
    if (gone) cookies.delete(name);
    else cookies.set(name, value.join('='));
  }
}

function attribute(tag, name) {
  const [, quoted, bare] = new RegExp(`\\b${name}=(?:"([^"]*)"|([^\\s>]+))`, 'i').exec(tag) ?? [];
  return (quoted ?? bare ?? '')
    .replace(/&#x([0-9a-f]+);/gi, (_whole, code) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/&#(\d+);/g, (_whole, code) => String.fromCharCode(Number(code)))
    .replaceAll('&amp;', '&');
}
