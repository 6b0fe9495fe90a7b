import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { LiveStreams } from '../../../src/relay/admin/api/live-stream.ts';
import { RecentActivity } from '../../../src/relay/admin/recent-activity.ts';
import { until } from '../../support/until.ts';

describe('the live view of activity', () => {
  let server: Server;
  let client: Socket | undefined;
  afterEach(() => {
    client?.destroy();
    server.closeAllConnections();
    server.close();
  });

  /** One line of the audit log that is larger than what the system keeps for a client. */
  const line = JSON.stringify({
    time: '2026-01-05T08:00:00.000Z',
    process: 'relay',
    event: 'message',
    outcome: 'allowed',
    object: 'x'.repeat(8_000_000),
  });

  /** A client that asks for the stream and never reads. */
  async function stalled(lifetime: number) {
    const activity = new RecentActivity(10, 'relay-1');
    const live = new LiveStreams(activity, { streams: 1, keepAlive: 10, lifetime });
    const errors: unknown[] = [];
    let response: ServerResponse | undefined;
    server = createServer((_request, answer) => {
      response = answer;
      answer.on('error', (error) => errors.push(error));
      live.begin(answer);
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {});
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until('it has begun', async () => response !== undefined);
    await activity.write([line]);
    return { activity, live, errors, response: response as ServerResponse };
  }

  it('is over after its lifetime also for who does not read: nothing is written after the end, nothing is kept', async () => {
    const { activity, errors, response } = await stalled(100);
    await until('it has ended', async () => response.writableEnded);
    await activity.write([line]);
    await until('it is closed', async () => response.closed);
    assert.deepEqual(errors, []);
  });

  it('is over when the relay ends, also for who does not read', async () => {
    const { activity, live, errors, response } = await stalled(60_000);
    live.close();
    await activity.write([line]);
    await until('it is closed', async () => response.closed);
    assert.deepEqual(errors, []);
  });
});
