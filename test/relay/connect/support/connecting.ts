import { Jar } from '../../../forward-auth/login/support/jar.ts';
import type { CertificateFiles } from '../../../support/certificates.ts';
import { freePorts } from '../../../support/free-port.ts';
import { ask, type RelayUnderTest, relay } from '../../support/relay.ts';
import { CLIENT_SECRET, startUpstreamHouse, type UpstreamHouse } from './upstream-provider.ts';

export interface Start {
  /** More of, or instead of, the connection's settings. */
  readonly connection?: Record<string, unknown>;
  readonly relay?: Record<string, unknown>;
  readonly now?: () => number;
  readonly redis?: object;
  readonly audit?: object;
  readonly tls?: CertificateFiles;
}

export interface Connecting extends RelayUnderTest {
  readonly house: UpstreamHouse;
  readonly origin: string;
}

/** A relay whose server `one` wants an account of each person, at a real provider. */
export async function startConnecting(start: Start = {}): Promise<Connecting> {
  const [port] = (await freePorts(1)) as [number];
  const origin = `http://127.0.0.1:${port}`;
  const house = await startUpstreamHouse(`${origin}/connect/servers/one/callback`, start.tls);
  const registered = {
    name: 'Notes <Inc>',
    issuer: house.issuer,
    clientId: 'relay',
    clientSecret: { value: CLIENT_SECRET },
    scopes: ['openid', 'notes:read'],
  };
  const running = await relay(
    {
      listen: `127.0.0.1:${port}`,
      servers: { one: { url: house.url, credential: { connection: start.connection ?? registered } } },
      ...start.relay,
    },
    {
      publicUrl: origin,
      ...(start.now === undefined ? {} : { now: start.now }),
      ...(start.redis === undefined ? {} : { redis: start.redis }),
      ...(start.audit === undefined ? {} : { audit: start.audit }),
    },
  );
  return { ...running, house, origin };
}

/** A person's browser: the proxy in front of the relay would name them. */
export class ConnectingPerson {
  readonly #origin: string;
  readonly #user: string;
  readonly jar = new Jar();

  constructor(origin: string, user: string) {
    this.#origin = origin;
    this.#user = user;
  }

  #headers(more: Record<string, string> = {}) {
    return { 'x-authenticated-user': this.#user, ...more };
  }

  async page(path = '/connect/servers/one'): Promise<{ status: number; text: string; headers: Headers }> {
    const answer = await this.jar.hop(new URL(path, this.#origin).href, { headers: this.#headers() });
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  }

  async send(action: string, token?: string, more: Record<string, string> = {}) {
    const shown = token ?? /name="token" value="([^"]+)"/.exec((await this.page()).text)?.[1] ?? '';
    const form = { action, token: shown };
    const answer = await this.jar.post(`${this.#origin}/connect/servers/one`, form, this.#headers(more));
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  }

  /** @returns the address of the provider to which the page leads */
  async begin(): Promise<string> {
    const { text } = await this.send('connect');
    const url = /content="0;url=([^"]+)"/.exec(text)?.[1];
    if (url === undefined) throw new Error(`not led on: ${text}`);
    return url.replaceAll('&#38;', '&');
  }

  /** Goes to the provider and agrees. @returns the address to which it sends back */
  authorize(url: string): Promise<string> {
    return this.jar.until(url, /\/callback\?/);
  }

  async connect() {
    return this.page(await this.authorize(await this.begin()));
  }

  call(port: number, ...headers: string[]) {
    return ask(port, { headers: ['X-Authenticated-User', this.#user, ...headers] });
  }

  async who(port: number): Promise<unknown> {
    const answer = await this.call(port);
    return JSON.parse(answer.text).result?.who ?? JSON.parse(answer.text).error.message;
  }
}
