import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import pino from 'pino';
import { type RunningExtAuthz, startExtAuthz } from '../../../../src/forward-auth/proxies/ext-authz/server.ts';
import { trustedPeers } from '../../../../src/platform/trusted-peers.ts';

/** RFC 9113 §3.4, and an empty SETTINGS frame. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
/** Milliseconds. */
const SHORT = 300;
const LONG = 600_000;
const LASTING = {
  'grpc.max_connection_idle_ms': LONG,
  'grpc.max_connection_age_ms': LONG,
  'grpc.max_connection_age_grace_ms': SHORT,
  'grpc.keepalive_time_ms': LONG,
  'grpc.keepalive_timeout_ms': SHORT,
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
    ['that nobody uses', { 'grpc.max_connection_idle_ms': SHORT }],
    ['that is old', { 'grpc.max_connection_age_ms': SHORT }],
  ] as const)
    it(`end: one ${title}`, async () => {
      session = connectHttp2(`http://127.0.0.1:${await start(times)}`);
      session.on('error', () => {});
      await once(session, 'connect');
      await once(session, 'close');
    });

  it('end: one whose peer answers no ping', async () => {
    const socket = connect(await start({ 'grpc.keepalive_time_ms': SHORT }), '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(PREFACE);
    await once(socket, 'close');
  });

  it('stay: one that is young, whose peer answers', async () => {
    session = connectHttp2(`http://127.0.0.1:${await start({ 'grpc.keepalive_time_ms': SHORT })}`);
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
