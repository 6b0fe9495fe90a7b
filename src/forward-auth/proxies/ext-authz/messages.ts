import { message, messageTypes } from '../../../platform/grpc/messages.ts';

const CHECK = (version: string) => ({
  methods: {
    Check: {
      requestType: `envoy.service.auth.${version}.CheckRequest`,
      responseType: `envoy.service.auth.${version}.CheckResponse`,
    },
  },
});

/**
 * The part of Envoy's API that a check needs: its messages and field numbers, as code. Fields that are not named
 * here are skipped on the wire. Not as a file, because the compiler copies no `.proto` file beside its output.
 *
 * Source: envoy/service/auth/v3/{external_auth,attribute_context}.proto, envoy/config/core/v3/{base,address}.proto,
 * envoy/type/v3/http_status.proto, google/rpc/status.proto, google/protobuf/{struct,wrappers}.proto.
 */
export const API = {
  nested: {
    envoy: {
      nested: {
        service: {
          nested: {
            auth: {
              nested: {
                v2: {
                  nested: { CheckRequest: message({}), CheckResponse: message({}), Authorization: CHECK('v2') },
                },
                v3: {
                  nested: {
                    Authorization: CHECK('v3'),
                    CheckRequest: message({ attributes: ['AttributeContext', 1] }),
                    AttributeContext: message({
                      source: ['Peer', 1],
                      request: ['Request', 4],
                      context_extensions: ['string', 10, { map: 'string' }],
                    }),
                    Peer: message({ address: ['Address', 1] }),
                    Address: message({ socket_address: ['SocketAddress', 1] }),
                    SocketAddress: message({ address: ['string', 2] }),
                    Request: message({ http: ['HttpRequest', 2] }),
                    HttpRequest: message({
                      method: ['string', 2],
                      headers: ['string', 3, { map: 'string' }],
                      path: ['string', 4],
                      host: ['string', 5],
                      scheme: ['string', 6],
                      header_map: ['HeaderMap', 13],
                    }),
                    HeaderMap: message({ headers: ['HeaderValue', 1, 'repeated'] }),
                    HeaderValue: message({ key: ['string', 1], value: ['string', 2], raw_value: ['bytes', 3] }),
                    HeaderValueOption: message({
                      header: ['HeaderValue', 1],
                      append: ['google.protobuf.BoolValue', 2],
                      append_action: ['int32', 3],
                      keep_empty_value: ['bool', 4],
                    }),
                    HttpStatus: message({ code: ['int32', 1] }),
                    DeniedHttpResponse: message({
                      status: ['HttpStatus', 1],
                      headers: ['HeaderValueOption', 2, 'repeated'],
                      body: ['string', 3],
                    }),
                    OkHttpResponse: message({
                      headers: ['HeaderValueOption', 2, 'repeated'],
                      headers_to_remove: ['string', 5, 'repeated'],
                      response_headers_to_add: ['HeaderValueOption', 6, 'repeated'],
                    }),
                    CheckResponse: message(
                      {
                        status: ['google.rpc.Status', 1],
                        denied_response: ['DeniedHttpResponse', 2],
                        ok_response: ['OkHttpResponse', 3],
                        dynamic_metadata: ['google.protobuf.Struct', 4],
                      },
                      { http_response: { oneof: ['denied_response', 'ok_response'] } },
                    ),
                  },
                },
              },
            },
          },
        },
      },
    },
    google: {
      nested: {
        rpc: { nested: { Status: message({ code: ['int32', 1], message: ['string', 2] }) } },
        protobuf: {
          nested: {
            BoolValue: message({ value: ['bool', 1] }),
            Struct: message({ fields: ['Value', 1, { map: 'string' }] }),
            ListValue: message({ values: ['Value', 1, 'repeated'] }),
            Value: message(
              { string_value: ['string', 3], list_value: ['ListValue', 6] },
              { kind: { oneof: ['string_value', 'list_value'] } },
            ),
          },
        },
      },
    },
  },
};

export const SERVICE = 'envoy.service.auth.v3.Authorization';
/** What clients of the removed version call; nothing but its name is known here. */
export const SERVICE_V2 = 'envoy.service.auth.v2.Authorization';

export interface HeaderValue {
  readonly key?: string;
  readonly value?: string;
  readonly raw_value?: Uint8Array;
}

/** As it is read from the wire: whatever is absent there may be empty or null here. */
export interface EnvoyCheckRequest {
  readonly attributes?: {
    readonly source?: { readonly address?: { readonly socket_address?: { readonly address?: string } } };
    readonly request?: {
      readonly http?: {
        readonly method?: string;
        readonly path?: string;
        readonly host?: string;
        readonly scheme?: string;
        readonly headers?: Readonly<Record<string, string>>;
        readonly header_map?: { readonly headers?: readonly HeaderValue[] };
      };
    };
    readonly context_extensions?: Readonly<Record<string, string>>;
  };
}

export interface HeaderValueOption {
  readonly header: HeaderValue;
  readonly append: { readonly value: boolean };
  readonly append_action: number;
}

export interface StructValue {
  readonly string_value?: string;
  readonly list_value?: { readonly values: readonly StructValue[] };
}

export interface EnvoyCheckResponse {
  status?: { readonly code: number; readonly message: string };
  readonly denied_response?: {
    readonly status: { readonly code: number };
    readonly headers: readonly HeaderValueOption[];
    readonly body: string;
  };
  readonly ok_response?: {
    readonly headers: readonly HeaderValueOption[];
    readonly headers_to_remove: readonly string[];
    readonly response_headers_to_add: readonly HeaderValueOption[];
  };
  readonly dynamic_metadata: { readonly fields: Readonly<Record<string, StructValue>> };
}

const typeOf = messageTypes(API);
export const CHECK_REQUEST = typeOf<EnvoyCheckRequest>('envoy.service.auth.v3.CheckRequest');
export const CHECK_RESPONSE = typeOf<EnvoyCheckResponse>('envoy.service.auth.v3.CheckResponse');
/** Of `dynamic_metadata`. */
export const STRUCT = typeOf<{ readonly fields: Readonly<Record<string, StructValue>> }>('google.protobuf.Struct');
