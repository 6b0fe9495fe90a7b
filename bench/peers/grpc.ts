import { Server, ServerCredentials } from '@grpc/grpc-js';
import { AUTHORIZATION } from '../../test/support/ext-authz-service.ts';

// grpc-js alone: it allows everything, with as many headers as an identity has.
const names = ['user', 'email', 'name', 'groups', 'scopes', 'method', 'issuer', 'assertion'];
const headers = names.map((name) => ({
  header: { key: `x-authenticated-${name}`, value: name === 'assertion' ? 'a'.repeat(600) : 'a value of some length' },
  append: { value: false },
  append_action: 2,
}));
const server = new Server();
server.addService(AUTHORIZATION, {
  Check: (_call: unknown, answer: (error: null, response: object) => void) =>
    answer(null, { status: { code: 0 }, ok_response: { headers } }),
});
server.bindAsync(`127.0.0.1:${process.env.PORT}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
