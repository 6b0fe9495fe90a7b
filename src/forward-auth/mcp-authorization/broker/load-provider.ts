import type Provider from 'oidc-provider';
import type { Configuration } from 'oidc-provider';

/** oidc-provider's notices are for people who try it out; everything that concerns an operator is in our own log. */
export async function loadProvider(issuer: string, configuration: Configuration): Promise<Provider> {
  return quietly(async () => new (await import('oidc-provider')).Provider(issuer, configuration));
}

/** Holds back the notices of oidc-provider (its runtime, its in-memory store), and nothing else. */
export async function quietly<T>(load: () => T | Promise<T>): Promise<T> {
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
