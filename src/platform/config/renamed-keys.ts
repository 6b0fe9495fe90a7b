import { isRecord } from '../is-record.ts';

/** Keys that have a better name, read for one release under the earlier one; `[]` and `<name>` are items of lists and maps. */
export const RENAMED_KEYS: Readonly<Record<string, string>> = {
  'audit.queue': 'audit.maxQueue',
  'audit.file.keep': 'audit.file.maxFiles',
  'auth.providers[].introspection.ttl': 'auth.providers[].introspection.entryLifetime',
  'auth.providers[].introspection.max': 'auth.providers[].introspection.maxEntries',
  'auth.apiKeys.cacheTtl': 'auth.apiKeys.cacheLifetime',
  'auth.sessions.absolute': 'auth.sessions.absoluteLifetime',
  'auth.sessions.idle': 'auth.sessions.idleTimeout',
  'auth.sessions.max': 'auth.sessions.maxSessions',
  'auth.sessions.cache.max': 'auth.sessions.cache.maxEntries',
  'auth.sessions.cache.ttl': 'auth.sessions.cache.entryLifetime',
  'auth.tokenCache.max': 'auth.tokenCache.maxEntries',
  'auth.tokenCache.ttl': 'auth.tokenCache.entryLifetime',
  'auth.limits.headers': 'auth.limits.maxHeaders',
  'auth.limits.token': 'auth.limits.maxToken',
  'auth.limits.identity': 'auth.limits.maxIdentity',
  'auth.broker.registration.perAddress': 'auth.broker.registration.maxPerAddress',
  'auth.broker.registration.perHour': 'auth.broker.registration.maxPerHour',
  'auth.broker.registration.unused': 'auth.broker.registration.unusedLifetime',
  'auth.broker.registration.idle': 'auth.broker.registration.idleLifetime',
  'auth.broker.metadataDocuments.perAddress': 'auth.broker.metadataDocuments.maxPerAddress',
  'auth.broker.metadataDocuments.perHost': 'auth.broker.metadataDocuments.maxPerHost',
  'auth.broker.metadataDocuments.minCache': 'auth.broker.metadataDocuments.minCacheLifetime',
  'auth.broker.metadataDocuments.maxCache': 'auth.broker.metadataDocuments.maxCacheLifetime',
  'auth.broker.rememberConsent': 'auth.broker.consentLifetime',
  'auth.broker.rotateKeys': 'auth.broker.rotate',
  'relay.connections.keep': 'relay.connections.idleLifetime',
  'relay.migration.remembered': 'relay.migration.maxUsers',
  'relay.admin.recent': 'relay.admin.maxRecent',
  'relay.aggregate.nameLength': 'relay.aggregate.maxNameLength',
  'relay.limits.headers': 'relay.limits.maxHeaders',
  'relay.limits.identity': 'relay.limits.maxIdentity',
  'relay.limits.body': 'relay.limits.maxBody',
  'relay.limits.requestTime': 'relay.limits.requestTimeout',
  'relay.limits.connectionTime': 'relay.limits.connectionLifetime',
  'relay.servers.<name>.max': 'relay.servers.<name>.maxSessions',
  'relay.servers.<name>.unused': 'relay.servers.<name>.idleTimeout',
  'relay.callLimits[].arguments': 'relay.callLimits[].maxArguments',
  'relay.callLimits[].result': 'relay.callLimits[].maxResult',
  'relay.callLimits[].duration': 'relay.callLimits[].timeout',
  'tracing.queue': 'tracing.maxQueue',
  'watch.webhook.queue': 'watch.webhook.maxQueue',
  'watch.keep': 'watch.maxEvents',
  'watch.remembered': 'watch.maxRemembered',
  'watch.detectors.newNetwork.remembered': 'watch.detectors.newNetwork.maxNetworks',
  'watch.detectors.newNetwork.forget': 'watch.detectors.newNetwork.idleLifetime',
  'watch.detectors.concurrentNetworks.most': 'watch.detectors.concurrentNetworks.maxConcurrent',
  'watch.detectors.requestRate.most': 'watch.detectors.requestRate.maxCount',
  'watch.detectors.manySignIns.most': 'watch.detectors.manySignIns.maxCount',
  'watch.detectors.manyDenials.most': 'watch.detectors.manyDenials.maxCount',
  'watch.detectors.manyDeniedTools.most': 'watch.detectors.manyDeniedTools.maxCount',
  'watch.detectors.failedSignIns.most': 'watch.detectors.failedSignIns.maxCount',
  'watch.detectors.refusedCredentials.most': 'watch.detectors.refusedCredentials.maxCount',
  'watch.webhook.giveUpAfter': 'watch.webhook.deliveryTimeout',
  'relay.limits.connections': 'relay.budgets.identity.maxStreams',
};

export interface RenamedInput {
  readonly input: unknown;
  /** One for each earlier name that was read; it names the new one. */
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
}

/** @param input as the file and the environment give it, which stays as it is @returns the same by the names of today */
export function renameKeys(input: unknown): RenamedInput {
  const copy: unknown = structuredClone(input);
  const warnings: string[] = [];
  const problems: string[] = [];
  for (const [earlier, today] of Object.entries(RENAMED_KEYS))
    for (const { holder, path } of holdersOf(copy, earlier.split('.'))) {
      const key = lastOf(earlier);
      const now = inPlace(today, path);
      const target = now.length === path.length ? holder : nested(copy, now.slice(0, -1));
      const named = `${[...path.slice(0, -1), key].join('.')} is the earlier name of ${now.join('.')}`;
      if (target === undefined || Object.hasOwn(target, lastOf(today))) problems.push(`${named}: give only the second`);
      else {
        target[lastOf(today)] = holder[key];
        warnings.push(`${named}: rename it, because the next release refuses it`);
      }
      delete holder[key];
    }
  return { input: copy, warnings, problems };
}

interface Holder {
  readonly holder: Record<string, unknown>;
  /** Down to the key, with its index or name in the place of `[]` and `<name>`. */
  readonly path: readonly string[];
}

function* holdersOf(value: unknown, parts: readonly string[], path: readonly string[] = []): Generator<Holder> {
  const [part = '', ...rest] = parts;
  if (part.endsWith('[]')) {
    const name = part.slice(0, -2);
    const list = isRecord(value) ? value[name] : undefined;
    if (!Array.isArray(list)) return;
    for (const [index, item] of list.entries()) yield* holdersOf(item, rest, [...path, `${name}[${index}]`]);
    return;
  }
  if (!isRecord(value)) return;
  if (part === '<name>') {
    for (const [name, item] of Object.entries(value)) yield* holdersOf(item, rest, [...path, name]);
  } else if (Object.hasOwn(value, part)) {
    if (rest.length === 0) yield { holder: value, path: [...path, part] };
    else yield* holdersOf(value[part], rest, [...path, part]);
  }
}

/** The new path with what `[]` and `<name>` were in the earlier one; both are at the same depth. */
function inPlace(today: string, path: readonly string[]): string[] {
  return today.split('.').map((part, at) => (part === '<name>' || part.endsWith('[]') ? (path[at] as string) : part));
}

/** @returns the map at that path, made where there is none; undefined where something else is there */
function nested(input: unknown, path: readonly string[]): Record<string, unknown> | undefined {
  let at = input;
  for (const part of path) {
    if (!isRecord(at)) return undefined;
    at[part] ??= {};
    at = at[part];
  }
  return isRecord(at) ? at : undefined;
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
