import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TestAuthority } from '../../../support/certificates.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A host with documents of clients, over TLS by an authority of its own. */
export interface DocumentHost {
  readonly caPath: string;
  /** `localhost:…` */
  readonly host: string;
  /** Paths that were asked for. */
  readonly asked: string[];
  /** @returns the address of a document, in which `client_id` is that address unless the test says otherwise */
  serve(path: string, document: object | Answer, headers?: Readonly<Record<string, string>>): string;
  stop(): Promise<void>;
}

export async function startDocumentHost(): Promise<DocumentHost> {
  const authority = new TestAuthority();
  const { certPath, keyPath } = authority.issue('documents', 'DNS:localhost');
  const answers = new Map<string, Answer>();
  const asked: string[] = [];
  const server = createServer({ cert: readFileSync(certPath), key: readFileSync(keyPath) }, (request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const answer = answers.get(path);
    if (answer === undefined) response.writeHead(404).end();
    else answer(request, response);
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  return {
    caPath: authority.caPath,
    host,
    asked,
    serve: (path, document, headers = {}) => {
      const url = `https://${host}${path}`;
      const plain: Answer = (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json', ...headers });
        response.end(JSON.stringify({ client_id: url, ...document }));
      };
      answers.set(path, typeof document === 'function' ? (document as Answer) : plain);
      return url;
    },
    stop: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      authority.remove();
    },
  };
}
