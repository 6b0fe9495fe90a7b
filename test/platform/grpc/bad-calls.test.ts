import assert from 'node:assert/strict';
import { type ClientHttp2Session, constants } from 'node:http2';
import type { Call } from '../../../src/platform/grpc/call.ts';
import type { GrpcServer } from '../../../src/platform/grpc/grpc-server.ts';
import { STATUS } from '../../../src/platform/grpc/status.ts';
import { CALL_FIELDS, call, grpcFrame, type Outcome, openCall, outcomeOf } from './support/grpc-client.ts';
import { ECHO, MAX_MESSAGE, openSession, startTestServer } from './support/grpc-session.ts';

const SLOW = '/test.Test/Slow';
const THROWS = '/test.Test/Throws';
const message = Buffer.from('a message');

describe('calls that are not as they should be', () => {
  let server: GrpcServer;
  let session: ClientHttp2Session;
  /** Calls of the slow method, which the test answers. */
  const slow: Call[] = [];

  before(async () => {
    server = await startTestServer({
      [SLOW]: (_message, call) => void slow.push(call),
      [THROWS]: () => {
        throw new TypeError('a secret');
      },
    });
    session = await openSession(server.port);
  });
  after(async () => {
    session.destroy();
    await server.close(0);
  });
  afterEach('leave the connection as it is', async () => {
    const { status, body } = await call(session, ECHO, grpcFrame(message));
    assert.equal(status, '0');
    assert.deepEqual(body, grpcFrame(message));
    slow.length = 0;
  });

  const failed = ({ http, status, body, code }: Outcome, wanted: number) => {
    assert.deepEqual({ http, status, code, body: body.length }, { http: 200, status: `${wanted}`, code: 0, body: 0 });
  };

  for (const [title, body, status] of [
    ['nothing', Buffer.alloc(0), STATUS.INTERNAL],
    ['a part of the prefix', Buffer.alloc(4), STATUS.INTERNAL],
    ['a message cut short', grpcFrame(message, 0, message.length + 1), STATUS.INTERNAL],
    ['more than the message', Buffer.concat([grpcFrame(message), Buffer.from('x')]), STATUS.INTERNAL],
    ['two messages', Buffer.concat([grpcFrame(message), grpcFrame(message)]), STATUS.INTERNAL],
    ['a message that is too long', grpcFrame(Buffer.alloc(MAX_MESSAGE + 1)), STATUS.RESOURCE_EXHAUSTED],
    ['a length that is too long', grpcFrame(message, 0, 0xffffffff), STATUS.RESOURCE_EXHAUSTED],
    ['a compressed message', grpcFrame(message, 1), STATUS.UNIMPLEMENTED],
    ['an unknown flag', grpcFrame(message, 2), STATUS.INTERNAL],
  ] as const)
    it(`say ${title}`, async () => failed(await call(session, ECHO, body), status));

  it('are refused at once where their message is wrong, while they still speak', async () => {
    const stream = openCall(session, ECHO);
    const outcome = outcomeOf(stream);
    stream.write(grpcFrame(message, 0, MAX_MESSAGE + 1));
    failed(await outcome, STATUS.RESOURCE_EXHAUSTED);
  });

  it('end with their fields', async () => {
    const fields = { ...CALL_FIELDS, ':path': ECHO };
    failed(await outcomeOf(session.request(fields, { endStream: true })), STATUS.INTERNAL);
  });

  it('are taken at the limit, and in the smallest pieces', async () => {
    const largest = grpcFrame(Buffer.alloc(MAX_MESSAGE, 'x'));
    assert.deepEqual((await call(session, ECHO, largest)).body, largest);
    const stream = openCall(session, ECHO);
    const outcome = outcomeOf(stream);
    for (const byte of grpcFrame(message)) stream.write(Buffer.from([byte]));
    stream.end();
    assert.deepEqual((await outcome).body, grpcFrame(message));
  });

  it('have no method', async () => {
    for (const path of ['/test.Test/Other', `${ECHO}/`, `${ECHO}?x`, ECHO.toLowerCase(), '/', '/__proto__'])
      failed(await call(session, path, grpcFrame(message)), STATUS.UNIMPLEMENTED);
  });

  for (const [title, fields, http] of [
    ['GET', { ':method': 'GET' }, 405],
    ['another type', { 'content-type': 'application/json' }, 415],
    ['gRPC-Web', { 'content-type': 'application/grpc-web' }, 415],
    ['messages of JSON', { 'content-type': 'application/grpc+json' }, 415],
    ['no type', { 'content-type': undefined }, 415],
  ] as const)
    it(`are no gRPC: ${title}`, async () => {
      const outcome = await call(session, ECHO, grpcFrame(message), fields);
      assert.deepEqual([outcome.http, outcome.status, outcome.body.length], [http, undefined, 0]);
    });

  it('are gRPC: a type with its parts, and without te', async () => {
    for (const fields of [
      { 'content-type': 'application/grpc+proto' },
      { 'content-type': 'application/grpc;charset=utf-8' },
      { te: undefined },
      { 'grpc-encoding': 'gzip' },
    ])
      assert.equal((await call(session, ECHO, grpcFrame(message), fields)).status, '0');
  });

  it('have a timeout that cannot be read', async () => {
    for (const timeout of ['', '1', 'S', '-1S', '1.5S', '123456789S', '1x', '1S ,2S', 'Infinity'])
      failed(await call(session, ECHO, grpcFrame(message), { 'grpc-timeout': timeout }), STATUS.INTERNAL);
  });

  it('have no time, or all of it', async () => {
    failed(await call(session, ECHO, grpcFrame(message), { 'grpc-timeout': '0n' }), STATUS.DEADLINE_EXCEEDED);
    for (const timeout of ['99999999H', '99999999n', '10S'])
      assert.equal((await call(session, ECHO, grpcFrame(message), { 'grpc-timeout': timeout })).status, '0');
  });

  it('are over at their deadline: no message, a part of one, and no answer', async () => {
    const deadline = { 'grpc-timeout': '50m' };
    failed(await outcomeOf(openCall(session, ECHO, deadline)), STATUS.DEADLINE_EXCEEDED);
    const part = openCall(session, ECHO, deadline);
    part.write(grpcFrame(message).subarray(0, 7));
    failed(await outcomeOf(part), STATUS.DEADLINE_EXCEEDED);
    failed(await call(session, SLOW, grpcFrame(message), deadline), STATUS.DEADLINE_EXCEEDED);
    (slow[0] as Call).answer(message);
  });

  it('are reset midway, and what is said of them later is not sent', async () => {
    for (const said of [Buffer.alloc(0), grpcFrame(message).subarray(0, 7)]) {
      const stream = openCall(session, SLOW);
      stream.write(said);
      stream.close(constants.NGHTTP2_CANCEL);
      await outcomeOf(stream);
    }
    assert.equal(slow.length, 0);
    const stream = openCall(session, SLOW);
    stream.end(grpcFrame(message));
    while (slow.length === 0) await call(session, ECHO, grpcFrame(message));
    const [asked] = slow as [Call];
    const over = new Promise<void>((resolve) => {
      asked.onClose = resolve;
    });
    stream.close(constants.NGHTTP2_CANCEL);
    await over;
    asked.answer(message);
    asked.send(message);
    asked.fail(new Error('too late') as never);
  });

  it('are answered once, whatever else is said', async () => {
    const outcome = call(session, SLOW, grpcFrame(message));
    while (slow.length === 0) await call(session, ECHO, grpcFrame(message));
    const [asked] = slow as [Call];
    asked.answer(Buffer.from('first'));
    asked.answer(Buffer.from('second'));
    asked.fail({ status: STATUS.INTERNAL, message: 'third' } as never);
    const { status, body } = await outcome;
    assert.deepEqual([status, body], ['0', grpcFrame(Buffer.from('first'))]);
  });

  it('fail where their method does, without its reason', async () => {
    const outcome = await call(session, THROWS, grpcFrame(message));
    failed(outcome, STATUS.INTERNAL);
    assert.doesNotMatch(outcome.message, /secret/);
  });

  it('have too many fields, or too long ones', async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x-${at}`, '1']));
    for (const fields of [{ 'x-long': 'x'.repeat(20_000) }, many]) {
      const other = await openSession(server.port);
      // The limits hold once the client knows of them.
      await call(other, ECHO, grpcFrame(message));
      const outcome = await call(other, ECHO, grpcFrame(message), fields);
      assert.equal(outcome.status, undefined);
      assert.notEqual(outcome.code, 0);
      other.destroy();
    }
  });

  it('are cut where nobody says more than HTTP/1.1', async () => {
    const answer = fetch(`http://127.0.0.1:${server.port}${ECHO}`, { method: 'POST' });
    await assert.rejects(answer);
  });
});
