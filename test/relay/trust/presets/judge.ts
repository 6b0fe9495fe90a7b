import type { IncomingMessage } from 'node:http';
import { parseConfig } from '../../../../src/platform/config/load.ts';
import { HeaderScanner } from '../../../../src/relay/trust/headers.ts';
import { Trust, type TrustDecision } from '../../../../src/relay/trust/trust.ts';

/** Asks the relay's trust alone, which says who it is in full; the transports only pass it on. */
export class Judge {
  readonly #trust: Trust;
  readonly #scanner: HeaderScanner;

  constructor(relay: object, now: () => number = Date.now) {
    const config = parseConfig({ publicUrl: 'https://mcp.example.com', relay });
    this.#trust = new Trust(config, { now, fetch: undefined });
    this.#scanner = new HeaderScanner({
      identity: this.#trust.identityHeaders,
      secretHeader: config.relay.trust.secretHeader,
    });
  }

  /** @param headers names and values in turn */
  async verdict(headers: readonly string[], remoteAddress = '127.0.0.1'): Promise<TrustDecision> {
    const request = { method: 'POST', url: '/servers/one/mcp', headers: {}, socket: { remoteAddress } };
    const scanned = this.#scanner.scan(headers);
    if (scanned.ambiguity !== undefined) return { kind: 'refused', refusal: scanned.ambiguity };
    return this.#trust.identify(request as unknown as IncomingMessage, scanned);
  }

  async reason(headers: readonly string[], remoteAddress?: string): Promise<string> {
    const verdict = await this.verdict(headers, remoteAddress);
    return verdict.kind === 'refused' ? verdict.refusal.reason : `identified ${verdict.identity.subject}`;
  }
}
