import type { Policy } from '../decision/decide.ts';
import { METADATA_PATH } from '../decision/own-endpoints.ts';

/** Protected-resource metadata (RFC 9728 §2). */
export interface ProtectedResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
}

/**
 * @param path request path at or below {@link METADATA_PATH}
 * @returns undefined where no resource is described there
 */
export function protectedResourceMetadata(
  path: string,
  context: Pick<Policy, 'resources' | 'rules' | 'readsBodies'> & { readonly issuers: readonly string[] },
): ProtectedResourceMetadata | undefined {
  const resource = context.resources.describedAt(path.slice(METADATA_PATH.length));
  if (resource === undefined) return undefined;
  const { rules, readsBodies } = context;
  // The least that is of use (2025-11-25, authorization, scope minimization), where the rest can be asked for when it is needed.
  const inSteps = readsBodies?.(resource) === true;
  const scopes = inSteps ? rules.defaultScopesOf(resource) : rules.scopesOf(resource);
  return {
    resource: resource.address,
    authorization_servers: context.issuers,
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
  };
}
