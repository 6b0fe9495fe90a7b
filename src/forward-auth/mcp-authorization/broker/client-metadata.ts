import type { ClientMetadata } from 'oidc-provider';
import type { BrokerConfig } from '../../../platform/config/schema.ts';
import { oidcErrors } from './oidc-library.ts';
import { redirectProblem } from './redirect-uris.ts';
import { SIGNING_ALGORITHM } from './resource-servers.ts';

/** Characters: a name is shown to people. */
const MAX_NAME = 100;
const MAX_REDIRECTS = 20;
/** Characters of a redirect. */
const MAX_REDIRECT = 2_048;
/** What a client can register for itself; the other grants are given by the operator only. */
const GRANTS = ['authorization_code', 'refresh_token'];
/** Addresses that we would call or show because a stranger says so; nothing here needs them. */
const UNUSED = ['sector_identifier_uri', 'backchannel_logout_uri', 'initiate_login_uri', 'post_logout_redirect_uris'];

/** How a client would have things written that are always written in one way here, or never. */
const WISHES =
  /^(?:userinfo|introspection|authorization|id_token)_(?:signed|encrypted)_response_|^request_object_|^require_|^subject_type$|^default_acr_values$|^response_modes$/;

type Metadata = Partial<ClientMetadata> & Record<string, unknown>;

/**
 * What clients say of themselves, by registration or document. What we do not do is left out, as RFC 7591 §2 allows; what would
 * harm is refused. Those of the configuration are as the operator wrote them.
 *
 * @throws InvalidClientMetadata, `invalid_redirect_uri` where it is about those
 */
export function checkClientMetadata(metadata: Metadata, config: BrokerConfig): void {
  if (config.clients.some(({ id }) => id === metadata.client_id)) return;
  checkName(metadata);
  checkRedirects(metadata.redirect_uris, config);
  for (const name of Object.keys(metadata)) if (UNUSED.includes(name) || WISHES.test(name)) delete metadata[name];
  metadata.id_token_signed_response_alg = SIGNING_ALGORITHM;
  if (Array.isArray(metadata.response_types)) metadata.response_types = ['code'];
  if (Array.isArray(metadata.grant_types))
    metadata.grant_types = metadata.grant_types.filter((grant) => GRANTS.includes(String(grant)));
  if (metadata.grant_types?.length === 0) metadata.grant_types = ['authorization_code'];
  // Nobody could hold a secret that stands in a public document, so there the default of RFC 7591 §2 means none.
  if (isDocument(metadata.client_id) && metadata.token_endpoint_auth_method === 'client_secret_basic')
    metadata.token_endpoint_auth_method = 'none';
  if (metadata.token_endpoint_auth_method !== 'private_key_jwt') delete metadata.token_endpoint_auth_signing_alg;
  // A client that registers what its first challenge asked for could never ask for more (MCP, step-up): what it may have is
  // what a person consents to.
  delete metadata.scope;
  // A "web" client may not have the loopback addresses that programs register without a word about their kind.
  metadata.application_type = 'native';
}

function checkName({ client_id: id, client_name: name }: Metadata): void {
  // A document must have one (2025-11-25, authorization, client ID metadata documents); a registration need not (RFC 7591 §2).
  if (name === undefined && !isDocument(id)) return;
  if (name === undefined)
    throw new (oidcErrors().InvalidClientMetadata)('client_name is missing: the document must name the client');
  if (typeof name !== 'string' || name.length > MAX_NAME || /\p{C}/u.test(name))
    throw new (oidcErrors().InvalidClientMetadata)(`client_name must be at most ${MAX_NAME} visible characters`);
}

function checkRedirects(uris: unknown, { registration }: BrokerConfig): void {
  if (!Array.isArray(uris) || uris.length === 0)
    throw new (oidcErrors().InvalidClientMetadata)('redirect_uris must contain members');
  if (uris.length > MAX_REDIRECTS)
    throw new (oidcErrors().InvalidClientMetadata)(`redirect_uris must be at most ${MAX_REDIRECTS}`);
  for (const uri of uris) {
    if (typeof uri === 'string' && uri.length > MAX_REDIRECT)
      throw new (oidcErrors().InvalidClientMetadata)(`redirect_uris must be at most ${MAX_REDIRECT} characters each`);
    const problem = redirectProblem(uri, registration);
    if (problem !== undefined) throw new (oidcErrors().InvalidClientMetadata)(`redirect_uris ${problem}`);
  }
}

/** Whether a client is named by the address of its document. */
export function isDocument(clientId: unknown): boolean {
  return typeof clientId === 'string' && /^https:\/\//i.test(clientId);
}
