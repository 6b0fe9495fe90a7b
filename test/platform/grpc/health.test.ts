import assert from 'node:assert/strict';
import { Client, type ClientReadableStream, credentials, type MethodDefinition, status } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import { type GrpcServer, startGrpcServer } from '../../../src/platform/grpc/grpc-server.ts';
import { Health } from '../../../src/platform/grpc/health.ts';

type Answer = { readonly status: string };
type HealthMethod = MethodDefinition<{ service: string }, Answer>;
const { Check, Watch } = service as unknown as { Check: HealthMethod; Watch: HealthMethod };
const LIST = '/grpc.health.v1.Health/List';

describe('the health service', () => {
  let health: Health;
  let server: GrpcServer;
  let client: Client;

  beforeEach(async () => {
    health = new Health(['', 'test.Test']);
    server = await startGrpcServer({ host: '127.0.0.1', port: 0 }, 'test', {
      methods: health.methods,
      maxMessage: 1_000,
    });
    client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  });
  afterEach(async () => {
    client.close();
    await server.close(0);
  });

  const check = (name: string) =>
    new Promise<Answer>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = Check;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: name }, (error, answer) =>
        error === null ? resolve(answer as Answer) : reject(error),
      );
    });
  const watch = (name: string) => {
    const { path, requestSerialize, responseDeserialize } = Watch;
    return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: name });
  };
  const next = (stream: ClientReadableStream<Answer>) =>
    new Promise<string>((resolve, reject) => {
      stream.once('data', (answer: Answer) => resolve(answer.status));
      stream.once('error', reject);
    });

  it('says of its services that they serve, until they do not', async () => {
    for (const name of ['', 'test.Test']) assert.equal((await check(name)).status, 'SERVING');
    health.stop();
    for (const name of ['', 'test.Test']) assert.equal((await check(name)).status, 'NOT_SERVING');
  });

  it('knows no other', async () => {
    await assert.rejects(check('test.Other'), { code: status.NOT_FOUND });
  });

  it('tells each change to whoever watches, and ends with the server', async () => {
    const stream = watch('test.Test');
    assert.equal(await next(stream), 'SERVING');
    const changed = next(stream);
    health.stop();
    health.stop();
    assert.equal(await changed, 'NOT_SERVING');
    const ended = assert.rejects(next(stream), { code: status.UNAVAILABLE });
    health.close();
    await ended;
    await server.close(60_000);
  });

  it('lets an unknown one be watched, and says that it is unknown', async () => {
    const stream = watch('test.Other');
    assert.equal(await next(stream), 'SERVICE_UNKNOWN');
    const ended = assert.rejects(next(stream), { code: status.UNAVAILABLE });
    health.stop();
    health.close();
    await ended;
  });

  it('forgets whoever stops watching', async () => {
    const stream = watch('test.Test');
    await next(stream);
    stream.on('error', () => {});
    stream.cancel();
    await check('');
    health.stop();
    health.close();
    await server.close(60_000);
  });

  it('lists them', async () => {
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      const same = (value: Buffer) => value;
      client.makeUnaryRequest(LIST, same, same, Buffer.alloc(0), (error, answer) =>
        error === null ? resolve(answer as Buffer) : reject(error),
      );
    });
    assert.ok(bytes.includes('test.Test'));
  });

  it('does not take another message for its own', async () => {
    const same = (value: Buffer) => value;
    const asked = new Promise((resolve, reject) =>
      client.makeUnaryRequest(Check.path, same, same, Buffer.from([0x0a, 0xff]), (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      ),
    );
    await assert.rejects(asked, { code: status.INTERNAL });
  });
});
