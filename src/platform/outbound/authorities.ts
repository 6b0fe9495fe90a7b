import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';

/**
 * The certificate authorities that Node.js trusts where none are named, in PEM: its own, and those of `NODE_EXTRA_CA_CERTS`,
 * which a list of one's own would otherwise take away.
 */
export function knownAuthorities(): string[] {
  const { NODE_EXTRA_CA_CERTS: path } = process.env;
  return [...rootCertificates, ...(path === undefined || path === '' ? [] : extra(path))];
}

/** Node.js itself warns of a file that it cannot read, and goes on without. */
function extra(path: string): string[] {
  try {
    return [readFileSync(path, 'utf8')];
  } catch {
    return [];
  }
}
