import { createServer } from 'node:http';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';

// jose alone: each token verified each time, and nothing decided by it.
const keys = createLocalJWKSet(JSON.parse(process.env.JWKS ?? '') as JSONWebKeySet);
createServer((request, response) => {
  const token = (request.headers.authorization ?? '').slice('Bearer '.length);
  jwtVerify(token, keys, { algorithms: ['RS256'] }).then(
    ({ payload }) => {
      response.writeHead(200, { 'X-Authenticated-User': payload.sub ?? '', 'Content-Length': 0 });
      response.end();
    },
    () => {
      response.writeHead(401, { 'Content-Length': 0 });
      response.end();
    },
  );
}).listen(Number(process.env.PORT), '127.0.0.1');
