import { createServer } from 'node:http';

// An MCP server that answers tools/call at once, so that the relay's own work is what is measured.
createServer((request, response) => {
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
  });
  request.on('end', () => {
    const body = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"${size} bytes"}]}}`;
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
    response.end(body);
  });
}).listen(Number(process.env.PORT), '127.0.0.1');
