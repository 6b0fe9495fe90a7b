import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

/** What a webhook's receiver hears. */
export interface Alarm {
  readonly url: string;
  readonly secret: string;
  /** Verified by the scheme's own library; each event once, however often it came. */
  readonly heard: Map<string, { readonly kind: string; readonly user?: string; readonly address?: string }>;
  stop(): Promise<void>;
}

/** A receiver that is away for the first deliveries, as receivers are. */
export async function startAlarm(failures = 2): Promise<Alarm> {
  const secret = `whsec_${Buffer.from('the secret of the alarm in tests').toString('base64')}`;
  const verifier = new Webhook(secret);
  const heard: Alarm['heard'] = new Map();
  let left = failures;
  const server = createServer(async (request, response) => {
    const body = await text(request);
    if (left > 0) {
      left -= 1;
      response.writeHead(503).end();
      return;
    }
    try {
      const { data } = verifier.verify(body, request.headers as Record<string, string>) as {
        data: { id: string; kind: string };
      };
      heard.set(data.id, data);
      response.end();
    } catch {
      response.writeHead(401).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alarm`,
    secret,
    heard,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
