import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import pino from 'pino';
import { type RunningExtAuthz, startExtAuthz } from '../../../../src/forward-auth/proxies/ext-authz/server.ts';
import { trustedPeers } from '../../../../src/platform/trusted-peers.ts';
import { h2Frame, PREFACE } from '../../../support/h2-frames.ts';

/** Milliseconds. */
const SHORT = 300;
const LONG = 600_000;
const LASTING = {
  idle: LONG,
  age: LONG,
  grace: SHORT,
  ping: LONG,
  pong: SHORT,
};

describe('connections of Envoy over gRPC', () => {
  let running: RunningExtAuthz | undefined;
  let session: ClientHttp2Session | undefined;

  afterEach(async () => {
    session?.destroy();
    await running?.close(0);
  });

  const start = async (connectionTimes: Partial<typeof LASTING>): Promise<number> => {
    running = await startExtAuthz({
      listen: { host: '127.0.0.1', port: 0 },
      current: () => ({
        trusted: trustedPeers({ trustedProxies: ['127.0.0.1/32'], trustedCertificates: [] } as never),
        runCheck: () => assert.fail('nobody asks'),
      }),
      log: pino({ level: 'silent' }),
      maxMessage: 65_536,
      connectionTimes: { ...LASTING, ...connectionTimes },
    });
    return running.port;
  };

  for (const [title, times] of [
    ['that nobody uses', { idle: SHORT }],
    ['that is old', { age: SHORT }],
  ] as const)
    it(`end: one ${title}`, async () => {
      session = connectHttp2(`http://127.0.0.1:${await start(times)}`);
      session.on('error', () => {});
      await once(session, 'connect');
      await once(session, 'close');
    });

  it('end: one whose peer answers no ping', async () => {
    const socket = connect(await start({ ping: SHORT }), '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(Buffer.concat([PREFACE, h2Frame(4, 0, 0, Buffer.alloc(0))]));
    await once(socket, 'close');
  });

  it('stay: one that is young, whose peer answers', async () => {
    session = connectHttp2(`http://127.0.0.1:${await start({ ping: SHORT })}`);
    session.on('error', () => {});
    await once(session, 'connect');
    let pings = 0;
    while (pings < 4) {
      await once(session, 'ping');
      pings += 1;
    }
    assert.equal(session.closed, false);
  });
});
