import { createServer } from 'node:http';

// No decision, and the very bytes that an allow of forward-auth writes: what is above it is the check's own cost.
const headers = JSON.parse(process.env.HEADERS ?? '') as string[];
createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end();
}).listen(Number(process.env.PORT), '127.0.0.1');
