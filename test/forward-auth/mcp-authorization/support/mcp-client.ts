import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { auth, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import { HttpPerson } from '../../../support/http-person.ts';
import { authorizeAs } from './broker-gate.ts';

/** Where a client on a person's machine gets its code: a page on a port of its own. */
export interface CallbackPage {
  readonly url: string;
  stop(): Promise<void>;
}

/** @param port 0: any that is free */
export async function openCallbackPage(port = 0): Promise<CallbackPage> {
  const server = createServer((_request, response) => response.end('you may close this window'));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The SDK's own authorization flow, with a person at the browser. */
export class SdkClient implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadataUrl?: string;
  readonly person = new HttpPerson();
  information: OAuthClientInformationMixed | undefined;
  saved: OAuthTokens | undefined;
  #verifier = '';
  #code: string | undefined;
  readonly #user: string;

  constructor(redirectUrl: string, { user = 'alice', metadataUrl }: { user?: string; metadataUrl?: string } = {}) {
    this.redirectUrl = redirectUrl;
    this.#user = user;
    if (metadataUrl !== undefined) this.clientMetadataUrl = metadataUrl;
  }

  /** Discovers, registers, signs in, consents and takes the tokens. */
  async connect(serverUrl: string, scope?: string): Promise<OAuthTokens> {
    const options = { serverUrl, ...(scope === undefined ? {} : { scope }) };
    const first = await auth(this, options);
    if (first === 'REDIRECT') {
      if (this.#code === undefined) throw new Error('no code came back');
      await auth(this, { ...options, authorizationCode: this.#code });
    }
    if (this.saved === undefined) throw new Error('no tokens');
    return this.saved;
  }

  get clientMetadata() {
    return {
      client_name: 'SDK client of the tests',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  clientInformation() {
    return this.information;
  }

  saveClientInformation(information: OAuthClientInformationMixed) {
    this.information = information;
  }

  tokens() {
    return this.saved;
  }

  saveTokens(tokens: OAuthTokens) {
    this.saved = tokens;
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    this.#code = (await this.authorize(url)).searchParams.get('code') ?? undefined;
  }

  /** @returns where the person was led back to, with a code */
  protected async authorize(url: URL): Promise<URL> {
    const end = await authorizeAs(this.person, url, { user: this.#user });
    if (!end.url.searchParams.has('code')) throw new Error(`no code at ${end.url.href} (${end.status}): ${end.text}`);
    return end.url;
  }

  saveCodeVerifier(verifier: string) {
    this.#verifier = verifier;
  }

  codeVerifier() {
    return this.#verifier;
  }
}
