import {
  credentials,
  makeClientConstructor,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import {
  type EnvoyCheckRequest,
  type EnvoyCheckResponse,
  SERVICE,
} from '../../../src/forward-auth/proxies/ext-authz/messages.ts';
import { parseCheckRequest, rawHeadersOf } from '../../../src/forward-auth/proxies/ext-authz/parse.ts';
import { AUTHORIZATION } from '../../support/ext-authz-service.ts';
import type { Asked } from './check-tap.ts';

type Check = (question: EnvoyCheckRequest, answered: sendUnaryData<EnvoyCheckResponse>) => void;

/** The tap of {@link startCheckTap} for Envoy over gRPC: a server of the same service that asks forward-auth's. */
export async function startGrpcCheckTap(to: number) {
  const asked: Asked[] = [];
  const Client = makeClientConstructor(AUTHORIZATION, SERVICE);
  const client = new Client(`127.0.0.1:${to}`, credentials.createInsecure());
  const server = new Server();
  server.addService(AUTHORIZATION, {
    Check: (
      { request }: ServerUnaryCall<EnvoyCheckRequest, EnvoyCheckResponse>,
      answered: sendUnaryData<EnvoyCheckResponse>,
    ) =>
      (client as unknown as { Check: Check }).Check(request, (error, response) => {
        if (response?.status?.code === 0 || (response?.ok_response && !response.status?.code))
          asked.push(askedBy(request, response as EnvoyCheckResponse));
        answered(error, response);
      }),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    port,
    asked,
    stop: async () => {
      client.close();
      server.forceShutdown();
    },
  };
}

function askedBy(question: EnvoyCheckRequest, { ok_response: ok }: EnvoyCheckResponse): Asked {
  const raw = rawHeadersOf(question);
  const request = parseCheckRequest(question, raw);
  if ('kind' in request) throw new Error(`forward-auth allowed what its adapter refuses: ${request.description}`);
  const set = ok?.headers?.find(({ header }) => header.key === 'cookie')?.header;
  const removed = ok?.headers_to_remove?.includes('cookie') === true;
  return { request, raw, cookie: set === undefined ? (removed ? '' : undefined) : (set.value ?? '') };
}
