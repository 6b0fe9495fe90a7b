import { readdirSync, readFileSync } from 'node:fs';

const DEPLOY = new URL('../../../deploy/', import.meta.url);
/** What a folder of `deploy/` has beside the proxy's own files; the request authentication is a second way to use Istio. */
const NOT_THE_PROXYS =
  /^(?:README\.md|check\.sh|compose\.yaml|postern\.yaml|request-authentication\.yaml|client-secret|\.env|proof\.conf|.*\.patch)$/;

/** @param path below `deploy/`, which the package and the image hold as far as it is asked for here */
export function deployed(path: string): string {
  return readFileSync(new URL(path, DEPLOY), 'utf8');
}

/** Names of the proxy's own files in its folder of `deploy/`. */
export function proxyFiles(proxy: string): string[] {
  return readdirSync(new URL(`${proxy}/`, DEPLOY)).filter((name) => !NOT_THE_PROXYS.test(name));
}
