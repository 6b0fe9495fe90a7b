import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CertificateFiles {
  readonly certPath: string;
  readonly keyPath: string;
}

/** An authority of one test, in a folder of its own, that makes certificates with `openssl`. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'postern-certificates-'));
  readonly caPath = join(this.folder, 'ca.pem');

  constructor() {
    this.#openssl('ca', '/CN=Test authority', []);
  }

  /** @param names of `subjectAltName`, such as `DNS:localhost` or `URI:spiffe://example/proxy` */
  issue(file: string, ...names: string[]): CertificateFiles {
    return this.#openssl(file, `/CN=${file}`, [
      ...['-CA', this.caPath, '-CAkey', join(this.folder, 'ca.key')],
      ...['-addext', 'basicConstraints=critical,CA:FALSE'],
      ...(names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`]),
    ]);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #openssl(file: string, subject: string, more: string[]): CertificateFiles {
    const certPath = join(this.folder, `${file}.pem`);
    const keyPath = join(this.folder, `${file}.key`);
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '2'];
    execFileSync('openssl', [...made, '-subj', subject, '-keyout', keyPath, '-out', certPath, ...more], {
      stdio: 'pipe',
    });
    return { certPath, keyPath };
  }
}
