import type { Configuration } from 'oidc-provider';

type Library = typeof import('oidc-provider');

let library: Library | undefined;

/**
 * oidc-provider, which is loaded only where it is used: it is large, and says on Node 20 that it would like another version.
 * Its notices are for people who try it out; everything that concerns an operator is in our own log.
 */
export async function loadLibrary(): Promise<Library> {
  library ??= await quietly(() => import('oidc-provider'));
  return library;
}

/** @throws Error before {@link loadLibrary} */
export function oidcErrors(): Library['errors'] {
  if (library === undefined) throw new Error('oidc-provider is not loaded yet');
  return library.errors;
}

export async function createProvider(issuer: string, configuration: Configuration) {
  const { Provider } = await loadLibrary();
  return quietly(() => new Provider(issuer, configuration));
}

/** Holds back the notices of oidc-provider (its runtime, its in-memory store), and nothing else. */
async function quietly<T>(load: () => T | Promise<T>): Promise<T> {
  const { warn, info } = console;
  const unless =
    (print: typeof warn) =>
    (first: unknown, ...rest: unknown[]) => {
      if (!String(first).includes('oidc-provider ')) print(first, ...rest);
    };
  console.warn = unless(warn);
  console.info = unless(info);
  try {
    return await load();
  } finally {
    Object.assign(console, { warn, info });
  }
}
