import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import {
  API,
  type EnvoyCheckRequest,
  type EnvoyCheckResponse,
  SERVICE,
  SERVICE_V2,
} from '../../src/forward-auth/proxies/ext-authz/messages.ts';

type Definition = { readonly Check: MethodDefinition<EnvoyCheckRequest, EnvoyCheckResponse> };

const definitions = fromJSON(API as unknown as Parameters<typeof fromJSON>[0], {
  keepCase: true,
  longs: String,
  defaults: false,
});

/** Envoy's service, as gRPC's own library takes it. */
export const AUTHORIZATION = definitions[SERVICE] as unknown as ServiceDefinition & Definition;
export const AUTHORIZATION_V2 = definitions[SERVICE_V2] as unknown as ServiceDefinition & Definition;
