import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  EmptyResultSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { isAlive } from '../../../support/alive.ts';
import { until } from '../../../support/until.ts';
import { ask, endAll, relay } from '../../support/relay.ts';
import { connectAs, sdkClient, TRANSPORTS } from '../../support/sdk-client.ts';

const PROGRAM = fileURLToPath(new URL('../../support/scripted-program.js', import.meta.url));
const EVERYTHING = fileURLToPath(
  new URL('../../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);

const program = (settings: object = {}, ...args: string[]) => ({
  command: process.execPath,
  args: [PROGRAM, ...args],
  ...settings,
});

const OBJECT = { type: 'object', properties: {} };

/** What the scripted program says as its one text, which is JSON. */
async function call(client: Client, name: string, args: object = {}, options: object = {}): Promise<unknown> {
  const result = await client.callTool({ name, arguments: { ...args } }, undefined, options);
  const [content] = result.content as Array<{ text: string }>;
  return JSON.parse(content?.text ?? 'null');
}

describe('MCP servers as child processes', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('the project’s own example server: tools, progress, a question to the client, its end', async () => {
    const running = await relay({ servers: { one: { command: process.execPath, args: [EVERYTHING, 'stdio'] } } });
    const client = await connectAs(running.url, 'alice');
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      model: 'none',
      role: 'assistant' as const,
      content: { type: 'text' as const, text: 'said by the client' },
    }));
    assert.ok((await client.listTools()).tools.length > 5);
    const progress: number[] = [];
    await client.callTool(
      { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } },
      undefined,
      {
        onprogress: (event) => progress.push(event.progress),
      },
    );
    assert.deepEqual(progress, [1, 2]);
    const asked = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'hello' } });
    assert.match(JSON.stringify(asked.content), /said by the client/);
  });

  for (const transport of Object.keys(TRANSPORTS) as Array<keyof typeof TRANSPORTS>)
    it(`is reached by ${transport} too`, async () => {
      const running = await relay({ servers: { one: program() } });
      const client = sdkClient();
      await client.connect(TRANSPORTS[transport](running.port, 'alice'));
      assert.equal(await call(client, 'slow', { milliseconds: 1, say: 'here' }), 'here');
    });

  it('gets nothing of the relay’s environment but what is listed', async () => {
    process.env.SECRET_OF_THE_RELAY = 'not for servers';
    const settings = { env: { OWN: 'given' }, inheritEnv: ['PATH'] };
    const client = await connectAs((await relay({ servers: { one: program(settings) } })).url, 'alice');
    const env = (await call(client, 'env')) as Record<string, string>;
    assert.equal(env.OWN, 'given');
    assert.equal(env.PATH, process.env.PATH);
    assert.equal(env.SECRET_OF_THE_RELAY, undefined);
    assert.equal(env.HOME, undefined);
  });

  it('each session has a process of its own, which ends with it', async () => {
    const running = await relay({ servers: { one: program() } });
    const [alice, bob] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'bob')];
    const pids = [(await call(alice, 'pid')) as number, (await call(bob, 'pid')) as number];
    assert.notEqual(pids[0], pids[1]);
    await (alice.transport as StreamableHTTPClientTransport).terminateSession();
    await until('the process of the session has ended', () => !isAlive(pids[0] as number));
    assert.ok(isAlive(pids[1] as number));
    assert.equal(await call(bob, 'pid'), pids[1]);
  });

  it('what it says under an id or token that is none is nothing, and the relay goes on', async () => {
    const client = await connectAs((await relay({ servers: { one: program() } })).url, 'alice');
    // Has no primitive value.
    const none = { toString: 1, valueOf: 1 };
    for (const message of [
      { id: none, result: {} },
      { method: 'notifications/progress', params: { progressToken: none } },
      { method: 'notifications/cancelled', params: { requestId: none } },
      { method: 'notifications/resources/updated', params: { uri: none } },
    ])
      assert.equal(await call(client, 'raw', { line: JSON.stringify({ jsonrpc: '2.0', ...message }) }), 'done');
  });

  for (const form of ['text', 'hex', 'list', 'nothing'])
    it(`an answer or progress under what only looks like its id is none (${form})`, async () => {
      const client = await connectAs((await relay({ servers: { one: program() } })).url, 'alice');
      const progress: number[] = [];
      const onprogress = (event: { progress: number }) => void progress.push(event.progress);
      assert.equal(await call(client, 'answer as', { form }, { onprogress }), 'right');
      assert.deepEqual(progress, [1]);
    });

  it('a client that takes back what is no id takes nothing back', async () => {
    const client = await connectAs((await relay({ servers: { one: program() } })).url, 'alice');
    const waits = call(client, 'slow', { milliseconds: 300, say: 'done' });
    for (const requestId of [true, [1], '1', '0x1', { toString: 1, valueOf: 1 }])
      await client.notification({ method: 'notifications/cancelled', params: { requestId } } as never);
    assert.equal(await waits, 'done');
  });

  for (const result of ['text', [1], null, 7])
    it(`a result that is no object is an error and not an empty result (${JSON.stringify(result)})`, async () => {
      const client = await connectAs((await relay({ servers: { one: program() } })).url, 'alice');
      await assert.rejects(call(client, 'result', { result }), /no object as result/);
    });

  it('a session subscribes to a thousand resources and no more', async () => {
    const client = await connectAs((await relay({ servers: { one: program() } })).url, 'alice');
    const subscribe = (number: number) =>
      client.request({ method: 'resources/subscribe', params: { uri: `test://${number}` } }, EmptyResultSchema);
    for (let number = 0; number < 1_000; number += 50)
      await Promise.all(Array.from({ length: 50 }, (_, index) => subscribe(number + index)));
    await assert.rejects(subscribe(1_000), /may have \(1000\)/);
    await subscribe(0);
    await client.request({ method: 'resources/unsubscribe', params: { uri: 'test://0' } }, EmptyResultSchema);
    await subscribe(1_000);
  });

  it('nobody but its owner uses a session', async () => {
    const running = await relay({ servers: { one: program() } });
    const alice = await connectAs(running.url, 'alice');
    const session = (alice.transport as StreamableHTTPClientTransport).sessionId as string;
    const headers = ['Mcp-Session-Id', session, 'Accept', 'application/json, text/event-stream'];
    const stolen = await ask(running.port, { headers: [...headers, 'X-Authenticated-User', 'bob'] });
    assert.equal(stolen.status, 404);
  });

  it('ends what neither its input nor SIGTERM ends, when the relay does', async () => {
    const running = await relay({ servers: { one: program({}, '--stubborn') } });
    const pid = (await call(await connectAs(running.url, 'alice'), 'pid')) as number;
    await running.close();
    assert.equal(isAlive(pid), false);
  });

  it('a process that dies in a request: an error, then a new one', async () => {
    const running = await relay({ servers: { one: program() } });
    const alice = await connectAs(running.url, 'alice');
    const bob = await connectAs(running.url, 'bob');
    await assert.rejects(call(alice, 'crash'));
    await assert.rejects(call(alice, 'pid'), /session not found/i);
    assert.equal(typeof (await call(await connectAs(running.url, 'alice'), 'pid')), 'number');
    assert.equal(typeof (await call(bob, 'pid')), 'number', 'the session of another is as it was');
  });

  it('lines that are no messages are passed over, and a flood of errors is kept short', async () => {
    const running = await relay({ servers: { one: program() } });
    const client = await connectAs(running.url, 'alice');
    assert.equal(await call(client, 'noise'), 'done');
    assert.equal(await call(client, 'flood'), 'done');
    assert.ok(running.logs.filter((line) => line.includes('of a flood')).length <= 60);
  });

  for (const sharing of ['session', 'everybody'])
    it(`a message larger than the limit is refused alone, with its size; all else goes on (${sharing})`, async () => {
      const running = await relay({ servers: { one: program({ sharing }) }, limits: { maxServerMessage: '64KiB' } });
      const [alice, bob] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'bob')];
      const waits = call(bob, 'slow', { milliseconds: 500, say: 'of bob' });
      const pid = await call(alice, 'pid');
      assert.equal(((await call(alice, 'long', { length: 1_000 })) as string).length, 1_000);
      await assert.rejects(call(alice, 'long', { length: 200_000 }), /2000\d\d characters, of which 65536 may be/);
      assert.equal(await call(alice, 'pid'), pid, 'her session goes on');
      assert.equal(await waits, 'of bob');
    });

  it('a screenshot passes as it is configured', async () => {
    const running = await relay({ servers: { one: program() } });
    const client = await connectAs(running.url, 'alice');
    assert.equal(((await call(client, 'long', { length: 6_000_000 })) as string).length, 6_000_000);
  });

  it('a byte order mark, a banner and a batch are read or passed over, and the log shows the first', async () => {
    const running = await relay({ servers: { one: program({}, '--banner') } });
    const client = await connectAs(running.url, 'alice');
    assert.equal(await call(client, 'batch', { say: 'in a batch' }), 'in a batch');
    assert.equal(await call(client, 'noise'), 'done');
    const told = running.logs.filter((line) => line.includes('sends texts that are not messages'));
    assert.equal(told.length, 1);
    assert.match(told[0] as string, /Welcome to the scripted server/);
  });

  it('an answer that does not come in time is 504 in the protocol’s own form', async () => {
    const running = await relay({ servers: { one: program({ timeout: '300ms' }) } });
    const client = await connectAs(running.url, 'alice');
    await assert.rejects(call(client, 'never'), /did not answer in time/);
    assert.equal(typeof (await call(client, 'pid')), 'number');
  });

  it('a program that does not start is not started again at once', async () => {
    const running = await relay({ servers: { one: program({}, '--broken') } });
    await assert.rejects(connectAs(running.url, 'alice'));
    const first = running.logs.filter((line) => line.includes('":"an MCP server does not start"')).length;
    await assert.rejects(connectAs(running.url, 'alice'), /is tried again soon/);
    assert.equal(first, 1);
    assert.equal(
      running.logs.filter((line) => line.includes('":"an MCP server does not start"')).length,
      1,
      'no second attempt',
    );
    const missing = await relay({ servers: { one: { command: '/nonexistent/program' } } });
    await assert.rejects(
      connectAs(missing.url, 'alice'),
      /could not be started: its program, or the folder .* is not there/,
    );
  });

  for (const [what, settings, why] of [
    ['is not there', { command: '/nonexistent/program' }, /could not be started: its program, or the folder/],
    ['has no folder to start in', program({ cwd: '/nonexistent' }), /could not be started: its program, or the folder/],
    ['may not be executed', { command: '/etc' }, /could not be started: its program may not be executed/],
    ['ends with a code', program({}, '--broken'), /could not be started: its program ended \(exit code 7\)/],
    ['is ended by a signal', { command: 'sh', args: ['-c', 'kill -9 $$'] }, /could not be started: .*SIGKILL/],
    ['ends well and says nothing', { command: 'true' }, /could not be started: .*exit code 0/],
  ] as const)
    for (const transport of ['streamable-http', 'websocket', 'http-sse'] as const)
      it(`a program that ${what} says so to a client over ${transport}`, async () => {
        const running = await relay({ servers: { one: settings } });
        const connecting =
          transport === 'streamable-http'
            ? connectAs(running.url, 'alice')
            : sdkClient().connect(TRANSPORTS[transport](running.port, 'alice'));
        await assert.rejects(connecting, why);
      });

  it('no more processes than may, and a session that nobody uses makes room', async () => {
    const running = await relay({ servers: { one: program({ maxSessions: 1, idleTimeout: '300ms' }) } });
    const headers = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
    const begin = () => {
      const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
      return ask(running.port, { headers, body });
    };
    assert.equal((await begin()).status, 200);
    const refused = await begin();
    assert.equal(refused.status, 503);
    assert.match(refused.text, /as many of these MCP servers run as may/);
    await until('the unused session has ended', async () => (await begin()).status === 200);
  });

  for (const sharing of ['session', 'everybody'])
    it(`a client that the server refuses keeps nothing and leaves the server to the next (${sharing})`, async () => {
      const running = await relay({ servers: { one: program({ sharing, maxSessions: 1 }) } });
      const clientInfo = { name: 'unwelcome', version: '1' };
      const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
      const headers = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
      assert.match((await ask(running.port, { headers, body })).text, /not this client/);
      await until('the next one can begin', () =>
        connectAs(running.url, 'bob').then(
          () => true,
          () => false,
        ),
      );
    });

  describe('that sessions share', () => {
    it('one for each identity: the same process for her sessions, another for his', async () => {
      const running = await relay({ servers: { one: program({ sharing: 'identity' }) } });
      const [first, second] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'alice')];
      const bob = await connectAs(running.url, 'bob');
      const pid = await call(first, 'pid');
      assert.equal(await call(second, 'pid'), pid);
      assert.notEqual(await call(bob, 'pid'), pid);
    });

    it('one for everybody: the same ids and tokens at one time, and each gets what is theirs', async () => {
      const running = await relay({ servers: { one: program({ sharing: 'everybody' }) } });
      const people = await Promise.all(['alice', 'bob', 'carol'].map((user) => connectAs(running.url, user)));
      assert.equal(new Set(await Promise.all(people.map((client) => call(client, 'pid')))).size, 1);
      const progress = [0, 0, 0];
      const said = await Promise.all(
        people.map((client, at) =>
          call(
            client,
            'slow',
            { milliseconds: 50 * (3 - at), say: `for ${at}` },
            {
              onprogress: () => {
                progress[at] = (progress[at] ?? 0) + 1;
              },
            },
          ),
        ),
      );
      assert.deepEqual(said, ['for 0', 'for 1', 'for 2']);
      assert.deepEqual(progress, [1, 1, 1]);
    });

    it('one for everybody: what may be about one person’s request reaches nobody else', async () => {
      const running = await relay({ servers: { one: program({ sharing: 'everybody' }) } });
      const [alice, bob] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'bob')];
      const heard: unknown[] = [];
      let asked = 0;
      for (const [client, name] of [
        [alice, 'alice'],
        [bob, 'bob'],
      ] as const) {
        client.setNotificationHandler(
          LoggingMessageNotificationSchema,
          ({ params }) => void heard.push([name, params.data]),
        );
        client.setRequestHandler(CreateMessageRequestSchema, () => {
          asked += 1;
          return { model: name, role: 'assistant' as const, content: { type: 'text' as const, text: name } };
        });
      }
      // Alone she is meant; while both wait nobody can tell who is.
      assert.match(JSON.stringify(await call(alice, 'ask')), /"model":"alice"/);
      const waits = call(bob, 'slow', { milliseconds: 400, say: 'late' });
      assert.deepEqual(await call(alice, 'ask'), { refused: -32601 });
      await call(alice, 'log', { text: 'of alice' });
      assert.equal(await waits, 'late');
      assert.equal(asked, 1);
      assert.deepEqual(heard, []);
    });

    describe('one for everybody: what the server says after the call it is about', () => {
      const MESSAGES = [
        { method: 'notifications/message', params: { level: 'info', data: 'of alice' } },
        { id: 'sampling', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } },
        { id: 'form', method: 'elicitation/create', params: { message: '?', requestedSchema: OBJECT } },
        { id: 'roots', method: 'roots/list' },
      ];
      const REFUSED = [
        ['form', -32601],
        ['roots', -32601],
        ['sampling', -32601],
      ];

      interface Person {
        readonly client: Client;
        readonly heard: string[];
      }

      async function person(url: string, user: string): Promise<Person> {
        const heard: string[] = [];
        const client = await connectAs(url, user);
        client.setNotificationHandler(LoggingMessageNotificationSchema, () => void heard.push('log'));
        client.setRequestHandler(CreateMessageRequestSchema, () => {
          heard.push('sampling');
          return { model: user, role: 'assistant' as const, content: { type: 'text' as const, text: user } };
        });
        client.setRequestHandler(ElicitRequestSchema, () => {
          heard.push('form');
          return { action: 'decline' as const };
        });
        client.setRequestHandler(ListRootsRequestSchema, () => {
          heard.push('roots');
          return { roots: [] };
        });
        return { client, heard };
      }

      const sayLater = ({ client }: Person, milliseconds: number) =>
        call(client, 'after the answer', { milliseconds, messages: MESSAGES });
      const leave = ({ client }: Person) => (client.transport as StreamableHTTPClientTransport).terminateSession();
      async function answers({ client }: Person): Promise<unknown[]> {
        let got: unknown[] = [];
        await until('the server has its answers', async () => {
          got = (await call(client, 'answers')) as unknown[];
          return got.length >= 3;
        });
        return got.sort();
      }

      async function two(): Promise<[alice: Person, bob: Person]> {
        const { url } = await relay({ servers: { one: program({ sharing: 'everybody' }) } });
        return [await person(url, 'alice'), await person(url, 'bob')];
      }

      for (const first of ['alice', 'bob'])
        it(`reaches nobody where another’s call is open (${first} was there first)`, async () => {
          const [one, other] = await two();
          const [alice, bob] = first === 'alice' ? [one, other] : [other, one];
          await sayLater(alice, 100);
          assert.equal(await call(bob.client, 'slow', { milliseconds: 300, say: 'of bob' }), 'of bob');
          assert.deepEqual(await answers(bob), REFUSED);
          assert.deepEqual([alice.heard, bob.heard], [[], []]);
        });

      it('reaches nobody where the one it is about has left', async () => {
        const [alice, bob] = await two();
        await sayLater(alice, 150);
        await leave(alice);
        assert.equal(await call(bob.client, 'slow', { milliseconds: 300, say: 'of bob' }), 'of bob');
        assert.deepEqual(await answers(bob), REFUSED);
        assert.deepEqual(bob.heard, []);
      });

      it('reaches nobody where the one it is about has left and the other has not called yet', async () => {
        const [alice, bob] = await two();
        await sayLater(alice, 150);
        await leave(alice);
        await new Promise((resolve) => setTimeout(resolve, 300));
        assert.deepEqual(await answers(bob), REFUSED);
        assert.deepEqual(bob.heard, []);
      });

      it('reaches nobody in a call of the one where the other has called before and may still be meant', async () => {
        const [alice, bob] = await two();
        await call(bob.client, 'pid');
        assert.deepEqual(await call(alice.client, 'ask'), { refused: -32601 });
        await call(alice.client, 'log', { text: 'of whom?' });
        assert.deepEqual([alice.heard, bob.heard], [[], []]);
      });

      it('reaches the only one from whom the server has ever had a message', async () => {
        const [alice, bob] = await two();
        await sayLater(alice, 50);
        await until('she has been asked', () => alice.heard.length === 4);
        assert.deepEqual([alice.heard.sort(), bob.heard], [['form', 'log', 'roots', 'sampling'], []]);
      });
    });

    it('one for everybody: nobody tells the server anything about a question to another', async () => {
      const running = await relay({ servers: { one: program({ sharing: 'everybody' }) } });
      const [alice, bob] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'bob')];
      const progress = (client: Client, progressToken: string | number, done: number) =>
        client.notification({ method: 'notifications/progress', params: { progressToken, progress: done } });
      let asked = false;
      let answer: () => void = () => {};
      const answering = new Promise<void>((resolve) => {
        answer = resolve;
      });
      alice.setRequestHandler(CreateMessageRequestSchema, async () => {
        asked = true;
        await answering;
        return { model: 'none', role: 'assistant' as const, content: { type: 'text' as const, text: 'hers' } };
      });
      await call(alice, 'question', { id: 'q', token: 7 });
      await until('she has been asked', () => asked);
      await progress(bob, 7, 99);
      await progress(alice, '7', 98);
      await bob.notification({ method: 'notifications/cancelled', params: { requestId: 'q' } });
      await bob.notification({ method: 'notifications/tasks/status', params: { taskId: 'of alice' } } as never);
      await progress(alice, 7, 1);
      const told = (await call(alice, 'told')) as Array<[method: string, params: unknown]>;
      assert.deepEqual(
        told.filter(([method]) => method !== 'notifications/initialized'),
        [['notifications/progress', { progressToken: 7, progress: 1 }]],
      );
      answer();
      await until('she has answered', async () => ((await call(alice, 'answers')) as unknown[]).length === 1);
      await progress(alice, 7, 2);
      assert.equal(((await call(alice, 'told')) as unknown[]).length, told.length, 'no question has this token now');
    });

    it('one for everybody: who unsubscribes takes nothing from who is about to subscribe', async () => {
      const running = await relay({ servers: { one: program({ sharing: 'everybody' }) } });
      const [alice, bob] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'bob')];
      const ask = (client: Client, method: string) =>
        client.request({ method, params: { uri: 'slow:1' } }, EmptyResultSchema);
      const subscribing = ask(alice, 'resources/subscribe');
      await until('the server has been asked', async () =>
        ((await call(bob, 'asked')) as string[]).includes('resources/subscribe'),
      );
      await ask(bob, 'resources/unsubscribe');
      await subscribing;
      assert.equal(((await call(bob, 'asked')) as string[]).includes('resources/unsubscribe'), false);
      await ask(alice, 'resources/unsubscribe');
      assert.equal(((await call(bob, 'asked')) as string[]).includes('resources/unsubscribe'), true);
    });

    it('one for everybody: tasks, which all would see, are offered to nobody', async () => {
      const of = async (sharing: string) => {
        const running = await relay({ servers: { one: program({ sharing }, '--tasks') } });
        const client = await connectAs(running.url, 'alice');
        const tasks = client.request({ method: 'tasks/list', params: {} }, ResultSchema);
        const asTask = { name: 'params', arguments: {}, task: { ttl: 1 } };
        const { content } = await client.request({ method: 'tools/call', params: asTask }, ResultSchema);
        const { task } = JSON.parse((content as Array<{ text: string }>)[0]?.text ?? '');
        const { tasks: offered } = client.getServerCapabilities() ?? {};
        return { offered, task, list: await tasks.catch(({ code }) => code) };
      };
      assert.deepEqual(await of('identity'), { offered: { list: {} }, task: { ttl: 1 }, list: {} });
      assert.deepEqual(await of('everybody'), { offered: undefined, task: undefined, list: -32601 });
    });

    it('one for everybody: a session that ends takes its requests along and leaves the others', async () => {
      const running = await relay({ servers: { one: program({ sharing: 'everybody' }) } });
      const [alice, bob] = [await connectAs(running.url, 'alice'), await connectAs(running.url, 'bob')];
      const pid = await call(bob, 'pid');
      const lost = assert.rejects(call(alice, 'never'));
      await (alice.transport as StreamableHTTPClientTransport).terminateSession();
      await lost;
      assert.equal(await call(bob, 'pid'), pid);
    });
  });
});
