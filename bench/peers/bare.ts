import { createServer } from 'node:http';

// The limit of the platform: no decision, the same five headers each time.
createServer((_request, response) => {
  response.writeHead(200, {
    'X-Authenticated-User': 'alice',
    'X-Authenticated-Email': 'alice@example.com',
    'X-Authenticated-Name': 'Alice',
    'X-Authenticated-Groups': 'engineering',
    'X-Authenticated-Scopes': 'mcp:use',
    'Content-Length': 0,
  });
  response.end();
}).listen(Number(process.env.PORT), '127.0.0.1');
