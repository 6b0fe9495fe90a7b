import { SdkClient } from '../../../forward-auth/mcp-authorization/support/mcp-client.ts';

/** What the SDK's transports sign in with: a person at a browser, whose code is handed on when they are back. */
export class PersonProvider extends SdkClient {
  #back: URLSearchParams | undefined;

  override async redirectToAuthorization(url: URL): Promise<void> {
    this.#back = (await this.authorize(url)).searchParams;
  }

  /** A refresh token that is refused is worth nothing any more; then the person is asked again. */
  invalidateCredentials(what: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): void {
    if (what === 'all' || what === 'tokens') this.saved = undefined;
    if (what === 'all' || what === 'client') this.information = undefined;
  }

  forgetRefreshToken(): void {
    if (this.saved === undefined) return;
    const { refresh_token: _forgotten, ...rest } = this.saved;
    this.saved = rest;
  }

  /** Where the person was led back to, once. */
  take(): URLSearchParams {
    const back = this.#back;
    if (back === undefined) throw new Error('nobody was sent to sign in');
    this.#back = undefined;
    return back;
  }
}
