import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import type { ListenerCredentials } from '../../../platform/tls.ts';

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0];
type IdentityListener = Parameters<CertificateProvider['addIdentityCertificateListener']>[0];
type CaListener = Parameters<CertificateProvider['addCaCertificateListener']>[0];

/**
 * TLS of the gRPC listener from the same files as that of the HTTP listener, with their changes. Whoever asks must show a
 * certificate where the HTTP listener demands one.
 *
 * @param requireClient whether a connection without a client certificate is refused
 */
export function grpcCredentials(files: ListenerCredentials, requireClient: boolean): ServerCredentials {
  const provider = new FilesProvider(files);
  const ca = files.current().ca === undefined ? null : provider;
  // The declared names of its first two parameters are exchanged: identity comes first.
  return experimental.createCertificateProviderServerCredentials(provider, ca as CertificateProvider, requireClient);
}

class FilesProvider implements CertificateProvider {
  readonly #files: ListenerCredentials;
  readonly #identity = new Set<IdentityListener>();
  readonly #ca = new Set<CaListener>();

  constructor(files: ListenerCredentials) {
    this.#files = files;
    files.onChange(() => {
      for (const listener of this.#identity) this.#tellIdentity(listener);
      for (const listener of this.#ca) this.#tellCa(listener);
    });
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identity.add(listener);
    // The server looks at what comes once it has listened, not before.
    queueMicrotask(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identity.delete(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#ca.add(listener);
    queueMicrotask(() => this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#ca.delete(listener);
  }

  #tellIdentity(listener: IdentityListener): void {
    const { cert, key } = this.#files.current();
    listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) });
  }

  #tellCa(listener: CaListener): void {
    const { ca } = this.#files.current();
    if (ca !== undefined) listener({ caCertificate: Buffer.from(ca) });
  }
}
