import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Call } from '../../../src/platform/grpc/call.ts';
import type { GrpcServer } from '../../../src/platform/grpc/grpc-server.ts';
import { call, grpcFrame, openCall, outcomeOf } from './support/grpc-client.ts';
import { ECHO, openRaw, openSession, startTestServer } from './support/grpc-session.ts';

const SLOW = '/test.Test/Slow';
const message = Buffer.from('a message');

describe('the end of a gRPC server', () => {
  let server: GrpcServer;
  let asked: (call: Call) => void;

  beforeEach(async () => {
    server = await startTestServer({ [SLOW]: (_message, call) => asked(call) });
  });
  afterEach(() => server.close(0));

  const nextCall = () =>
    new Promise<Call>((resolve) => {
      asked = resolve;
    });

  it('tells clients to go, and answers what runs and what was on its way', async () => {
    const session = await openSession(server.port);
    const arrived = nextCall();
    const running = call(session, SLOW, grpcFrame(message));
    const slow = await arrived;
    const told = once(session, 'goaway');
    const ended = server.close(60_000);
    const onItsWay = call(session, ECHO, grpcFrame(message));
    const [code, last] = (await told) as [number, number];
    assert.deepEqual([code, last], [0, 0x7fffffff]);
    assert.equal((await onItsWay).status, '0');
    slow.answer(message);
    assert.deepEqual((await running).body, grpcFrame(message));
    await ended;
    assert.equal(session.destroyed || session.closed, true);
    await assert.rejects(openSession(server.port));
  });

  it('cuts what still runs when its time is over', async () => {
    const session = await openSession(server.port);
    const arrived = nextCall();
    const stream = openCall(session, SLOW);
    const outcome = outcomeOf(stream);
    stream.end(grpcFrame(message));
    await arrived;
    await server.close(10);
    assert.equal((await outcome).status, undefined);
  });

  it('does not wait for connections that say nothing', async () => {
    const silent = openRaw(server.port).resume();
    const closed = once(silent, 'close');
    await openSession(server.port);
    await server.close(100);
    await closed;
  });
});
