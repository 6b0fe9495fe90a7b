import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { programOrSkip } from '../../support/programs.ts';
import { startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { type Answer, ask, endAll, onEnd, type RelayUnderTest, relay } from '../support/relay.ts';
import { event, openStream, type Script, scriptedServer } from '../support/scripted-server.ts';
import { openWebSocket } from '../support/web-socket.ts';
import { ambiguousAnswers, EVIL, GOOD, list } from './support/attacks.ts';

type Json = Record<string, unknown>;

const ALICE = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
const PINS = { pins: { servers: ['one'], newTools: 'hold' } };
const POLICY = { policy: { default: 'allow', rules: [{ effect: 'deny', tools: ['evil'] }] } };

async function start(script: Script, settings: object, server: Json = {}) {
  const { url, seen } = await scriptedServer(script);
  return { seen, running: await relay({ servers: { one: { url, ...server } }, ...settings }) };
}

/** Answers every call with exactly this. */
const always = (text: string | Buffer, headers: Record<string, string>, status = 200): Script => ({
  post: ({ method }, response) => {
    if (method !== 'tools/call' && method !== 'tools/list') return undefined;
    response.writeHead(status, headers).end(text);
    return true;
  },
  get: (response) => {
    response.writeHead(status, headers).end(text);
    return true;
  },
});
const JSON_TYPE = { 'Content-Type': 'application/json' };
const STREAM = { 'Content-Type': 'text/event-stream' };

const send = (running: RelayUnderTest, method: string, params: Json = {}, id: unknown = 1): Promise<Answer> =>
  ask(running.port, { headers: ALICE, body: JSON.stringify({ jsonrpc: '2.0', id, method, params }) });
const call = (running: RelayUnderTest, name = 'good', id: unknown = 1) => send(running, 'tools/call', { name }, id);

describe('what a server says reaches no client unjudged', () => {
  afterEach(endAll);

  for (const [guarded, settings] of Object.entries({ policy: POLICY, pins: { pins: { servers: ['one'] } } })) {
    const allowed = (tools: Json[] = [GOOD]): Script => ({
      post: ({ id, method }, response) => {
        if (method !== 'tools/list') return undefined;
        response.writeHead(200, JSON_TYPE).end(JSON.stringify(list(id, tools)));
        return true;
      },
    });
    /** The server's first list is seen, so that pins are set; then it turns, and can turn again. */
    const turned = async (script: Script = {}) => {
      const own: Script = allowed();
      const started = await start(
        { post: (...parts) => own.post?.(...parts), get: (...parts) => own.get?.(...parts) },
        settings,
      );
      await send(started.running, 'tools/list');
      const turn = ({ post, get }: Script) => Object.assign(own, { post, get });
      turn(script);
      return { ...started, turn };
    };

    it(`where it answers another request on this one's stream (${guarded})`, async () => {
      const { running } = await turned({
        post: ({ id, method }, response) => {
          if (method !== 'tools/call') return undefined;
          openStream(response);
          response.write(event(list(99)));
          response.write(event(list('1')));
          response.end(event({ id, result: { content: [] } }));
          return true;
        },
      });
      const { text } = await call(running);
      assert.doesNotMatch(text, /evil/);
      assert.match(text, /"content":\[\]/);
      assert.ok(running.logs.some((line) => /left out/.test(line) && /answer_of_another_request/.test(line)));
    });

    it(`where it answers a call with a list (${guarded})`, async () => {
      const { running } = await turned(always(JSON.stringify(list(1, [EVIL, GOOD])), JSON_TYPE));
      const { text } = await call(running);
      assert.doesNotMatch(text, /evil/);
      assert.match(text, /good/);
    });

    it(`in a batch, as JSON and as an event (${guarded})`, async () => {
      const batch = JSON.stringify([list(99), { jsonrpc: '2.0', id: 1, result: { content: [] } }, list(1)]);
      const { running, turn } = await turned();
      for (const [text, headers] of [
        [batch, JSON_TYPE],
        [`data: ${batch}\n\n`, STREAM],
      ] as const) {
        turn(always(text, headers));
        const answer = await call(running);
        assert.doesNotMatch(answer.text, /evil/);
        assert.match(answer.text, /"content":\[\]/);
      }
    });

    it(`on a stream that nobody asked anything on, and on one that is resumed (${guarded})`, async () => {
      const { running } = await turned({
        get: (response) => {
          openStream(response);
          response.end(event(list(7)) + event({ method: 'notifications/message', params: { text: 'heard' } }, 'x'));
          return true;
        },
      });
      for (const headers of [ALICE, [...ALICE, 'Last-Event-ID', '1']]) {
        const { text } = await ask(running.port, { method: 'GET', headers });
        assert.doesNotMatch(text, /evil/);
        assert.match(text, /heard/);
      }
    });

    it(`over a WebSocket, on a call's stream and on the session's own (${guarded})`, async () => {
      const own = { standing: undefined as ServerResponse | undefined };
      const { running } = await turned({
        post: ({ id, method }, response) => {
          if (method !== 'tools/call') return undefined;
          openStream(response);
          own.standing?.write(event(list(id)) + event({ method: 'notifications/message', params: {} }));
          response.write(event(list(99)));
          response.write(
            `data: {"jsonrpc":"2.0","id":${id},"result":{"tools":[${JSON.stringify(EVIL)}],"tools":[]}}\n\n`,
          );
          response.end(event({ id, result: { content: [] } }));
          return true;
        },
        get: (response) => {
          openStream(response);
          own.standing = response;
          return true;
        },
      });
      const client = await openWebSocket(running.port);
      await client.initialize();
      await until('the stream of the session', () => own.standing !== undefined);
      await client.answerTo(client.request('tools/call', { name: 'good' }));
      await client.find(({ method }) => method === 'notifications/message');
      assert.doesNotMatch(JSON.stringify(client.received), /evil/);
    });

    it(`where two readers could take the text for different things (${guarded})`, async () => {
      const { running, turn } = await turned();
      for (const [how, text] of Object.entries(ambiguousAnswers(1)))
        for (const [body, headers] of [
          [text, JSON_TYPE],
          [`data: ${text}\n\n`, STREAM],
          [`event: other\ndata: ${text}\n\n`, STREAM],
        ] as const)
          for (const method of ['tools/call', 'tools/list']) {
            turn(always(body, headers));
            const answer = await send(running, method, method === 'tools/call' ? { name: 'good' } : {});
            assert.doesNotMatch(answer.text, /evil/, `the text ${how}, ${headers['Content-Type']}, ${method}`);
          }
    });

    const forms = [
      ['with an encoding', { ...JSON_TYPE, 'Content-Encoding': 'gzip' }, gzipSync(JSON.stringify(list(1)))],
      [
        'in UTF-16',
        { 'Content-Type': 'application/json; charset=utf-16le' },
        Buffer.from(JSON.stringify(list(1)), 'utf16le'),
      ],
      ['as a stream in UTF-16', { 'Content-Type': 'text/event-stream; charset=utf-16-le' }, event(list(1))],
      ['as a stream by another name', { 'Content-Type': 'text/plain; a=text/event-stream' }, event(list(1))],
      ['as a longer type', { 'Content-Type': 'application/json-seq' }, JSON.stringify(list(1))],
      ['as text', { 'Content-Type': 'text/plain' }, JSON.stringify(list(1))],
      [
        'in bytes that are no text',
        JSON_TYPE,
        Buffer.concat([Buffer.from(JSON.stringify(list(1)).slice(0, -1)), Buffer.from(',"a":"\xff"}', 'latin1')]),
      ],
    ] as const;

    it(`where it comes in a form that hides it (${guarded})`, async () => {
      const { running, turn } = await turned();
      for (const [how, headers, body] of forms) {
        turn(always(body as string, headers as Record<string, string>));
        const answer = await call(running);
        assert.equal(answer.status, 502, how);
        assert.doesNotMatch(answer.text, /evil/, how);
      }
    });
  }

  const evilEvent = event(list(1));
  const streams = {
    'begins with two byte order marks': `\ufeff\ufeff${evilEvent}`,
    'begins with the bytes of a mark as text': `\u00ef\u00bb\u00bf${evilEvent}`,
    'begins with both': `\ufeff\u00ef\u00bb\u00bf${evilEvent}`,
    'has a line separator in a comment': `: x\u2028${evilEvent}`,
    'has a next line in the name of an event': `event: x\u0085${evilEvent}`,
    'has a vertical tab in an id': `id: x\v${evilEvent}`,
    'has a form feed in another field': `x: x\f${evilEvent}`,
    'has separators in a text': event({
      method: 'a',
      params: { a: `\u2029\u2029data: ${JSON.stringify(list(1))}\u2029` },
    }),
  };
  /** As the readers in use split a stream: TypeScript's skips a mark in two ways, Python's once split lines as `str` does. */
  const readAsData = (text: string) =>
    text
      .replace(/^\ufeff/, '')
      .replace(/^\u00ef\u00bb\u00bf/, '')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they end lines there
      .split(/[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
      .filter((line) => /^data: ?\{.*"evil"/.test(line));

  it('nor where readers split a stream into other lines', async () => {
    const own: Script = {};
    const { running } = await start({ get: (...parts) => own.get?.(...parts) }, PINS);
    for (const [how, text] of Object.entries(streams))
      for (const more of [[], ['Last-Event-ID', '1']]) {
        own.get = always(text, STREAM).get;
        const answer = await ask(running.port, { method: 'GET', headers: [...ALICE, ...more] });
        assert.deepEqual(readAsData(answer.text), [], `the stream ${how}`);
      }
  });

  it('nor on a stream of another type, which clients read as one all the same', async () => {
    const own: Script = {};
    const { running } = await start({ get: (...parts) => own.get?.(...parts) }, POLICY);
    for (const [status, headers] of [
      [200, { 'Content-Type': 'text/plain' }],
      [200, {}],
      [200, { 'Content-Type': 'application/octet-stream', 'Content-Length': String(evilEvent.length) }],
      [202, { 'Content-Type': 'text/plain' }],
      [206, { 'Content-Type': 'image/png' }],
    ] as const) {
      own.get = always(evilEvent, headers, status).get;
      const answer = await ask(running.port, { method: 'GET', headers: ALICE });
      assert.doesNotMatch(answer.text, /evil/, `${status} ${JSON.stringify(headers)}`);
    }
  });

  it('and is refused on a failure that is a list', async () => {
    const { running } = await start(always(JSON.stringify(list(1)), JSON_TYPE, 400), PINS);
    assert.doesNotMatch((await call(running)).text, /evil/);
  });

  it('while honest answers keep their bytes, errors and statuses', async () => {
    const own: Script = {};
    const { running } = await start({ post: (...parts) => own.post?.(...parts) }, POLICY);
    const answering = (script: Script, method = 'tools/call') => {
      own.post = script.post;
      return send(running, method, { name: 'good' });
    };
    const text =
      '{"jsonrpc":"2.0", "id":1,"result":{"content":[],"structuredContent":{"n":1.0,"big":12345678901234567890}}}';
    assert.equal((await answering(always(text, { 'Content-Type': 'application/json; charset=UTF-8' }))).text, text);
    assert.match(
      (await answering(always(`id: a\ndata:\n\nid: b\ndata: ${text}\n\n`, STREAM))).text,
      /12345678901234567890/,
    );
    const tools = '[{"name":"good","inputSchema":{"maximum":12345678901234567890}}]';
    const lists = `{"jsonrpc":"2.0","id":1,"result":{"tools":${tools}}}`;
    assert.equal((await answering(always(lists, JSON_TYPE), 'tools/list')).text, lists);
    const gone = '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}';
    const { status, text: error } = await answering(always(gone, JSON_TYPE, 404));
    assert.equal(status, 404);
    assert.equal(JSON.parse(error).error.code, -32001);
    const nothing = (_message: unknown, response: ServerResponse) => Boolean(response.writeHead(404).end());
    assert.equal((await answering({ post: nothing })).status, 404);
  });
});

describe('limits of a call', () => {
  afterEach(endAll);

  const LIMITS = {
    callLimits: [
      { tools: ['small'], maxResult: '1KiB' },
      { tools: ['brief'], timeout: '400ms' },
      { tools: ['big'], maxResult: '1MiB' },
    ],
  };
  const large = (id: unknown, size = 3_000) => ({ jsonrpc: '2.0', id, result: { text: 'x'.repeat(size) } });

  it('do not end with an encoding', async () => {
    const { running } = await start(
      always(gzipSync(JSON.stringify(large(1, 1_000_000))), { ...JSON_TYPE, 'Content-Encoding': 'gzip' }),
      LIMITS,
    );
    const answer = await call(running, 'small');
    assert.equal(answer.status, 502);
    assert.ok(answer.text.length < 1_000);
  });

  it("do not end where the answer comes on another call's stream", async () => {
    const { running } = await start(
      {
        post: ({ id, method }, response) => {
          if (method !== 'tools/call') return undefined;
          openStream(response);
          response.end(event(large('small')) + event({ id, result: { content: [] } }));
          return true;
        },
      },
      LIMITS,
    );
    assert.doesNotMatch((await call(running, 'any')).text, /xxx/);
  });

  const resuming: Script = {
    post: ({ id, method }, response) => {
      if (method !== 'tools/call') return undefined;
      openStream(response);
      response.end(`id: ${String(id)}\ndata:\n\n`);
      return true;
    },
    get: (response, request) => {
      openStream(response);
      response.end(event(large(request.headers['last-event-id'])));
      return true;
    },
  };
  const resumed = (running: RelayUnderTest, id: string) =>
    ask(running.port, { method: 'GET', headers: [...ALICE, 'Last-Event-ID', id] });

  it('follow it where its stream is resumed, in size and time, and leave other calls alone', async () => {
    const { running } = await start(resuming, LIMITS);
    await call(running, 'small', 'a');
    await call(running, 'big', 'b');
    await call(running, 'any', 'c');
    assert.match((await resumed(running, 'a')).text, /larger than 1024 bytes/);
    assert.match((await resumed(running, 'b')).text, /xxx/);
    assert.match((await resumed(running, 'c')).text, /xxx/);
    assert.match((await resumed(running, 'unknown')).text, /larger than 1024 bytes/);
    await call(running, 'brief', 'd');
    await new Promise((resolve) => setTimeout(resolve, 450));
    assert.match((await resumed(running, 'd')).text, /had not answered whole within 400 ms/);
  });

  it('follow it where its id is used once more before it is answered', async () => {
    const { running } = await start(resuming, LIMITS);
    await call(running, 'small', 'a');
    await call(running, 'any', 'a');
    assert.match((await resumed(running, 'a')).text, /larger than 1024 bytes/);
    await call(running, 'brief', 'b');
    await new Promise((resolve) => setTimeout(resolve, 450));
    await call(running, 'any', 'b');
    assert.match((await resumed(running, 'b')).text, /had not answered whole within 400 ms/);
  });

  it('are those of one call alone where ids beyond 2^53 are nearly the same', async () => {
    const { running } = await start(
      {
        ...resuming,
        get: (response, request) => {
          openStream(response);
          const id = request.headers['last-event-id'];
          response.end(`data: {"jsonrpc":"2.0","id":${id},"result":{"text":"${'x'.repeat(3_000)}"}}\n\n`);
          return true;
        },
      },
      LIMITS,
    );
    const numbered = (tool: string, id: string) => {
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}"}}`;
      return ask(running.port, { headers: [...ALICE, 'Accept', 'application/json, text/event-stream'], body });
    };
    await numbered('small', '9007199254740993');
    await numbered('big', '9007199254740992');
    assert.match((await resumed(running, '9007199254740993')).text, /larger than 1024 bytes/);
    assert.match((await resumed(running, '9007199254740992')).text, /xxx/);
  });

  it('follow it to another replica, in size and time, also as a task', async function () {
    const redis = await startRedis(await programOrSkip(this, 'redis'));
    onEnd(() => redis.stop());
    const tasks: Script = {
      post: (message, response, ...rest) => {
        const { id, params } = message;
        const { name, taskId, task } = (params ?? {}) as Json;
        const answer = (body: object) => void response.writeHead(200, JSON_TYPE).end(JSON.stringify(body));
        if (task !== undefined) answer({ jsonrpc: '2.0', id, result: { task: { taskId: `of ${name}` } } });
        else if (taskId !== undefined) answer(large(id));
        else return resuming.post?.(message, response, ...rest);
        return true;
      },
      get: (...parts) => resuming.get?.(...parts),
    };
    const { url } = await scriptedServer(tasks);
    const settings = { ...LIMITS, servers: { one: { url } }, sessionKey: randomBytes(32).toString('base64url') };
    const [first, second] = [
      await relay(settings, { redis: { url: redis.url } }),
      await relay(settings, { redis: { url: redis.url } }),
    ];
    for (const [name, id] of [
      ['small', 'a'],
      ['big', 'b'],
      ['brief', 'd'],
    ])
      await call(first, name, id);
    for (const name of ['small', 'big', 'brief']) await send(first, 'tools/call', { name, task: {} }, name);
    const result = (taskId: string) => send(second, 'tasks/result', { taskId }, `r ${taskId}`);
    const becomes = (what: string, ask: () => Promise<{ text: string }>, answer: RegExp) =>
      until(what, async () => answer.test((await ask()).text));
    // What the first replica says arrives in its time; until then the strictest limits hold.
    await becomes('the large answer passes', () => resumed(second, 'b'), /xxx/);
    await becomes('the time of the call is over', () => resumed(second, 'd'), /had not answered whole within 400 ms/);
    assert.match((await resumed(second, 'a')).text, /larger than 1024 bytes/);
    await becomes('the large result passes', () => result('of big'), /xxx/);
    await becomes('the time of the task is over', () => result('of brief'), /had not answered whole within/);
    assert.match((await result('of small')).text, /larger than 1024 bytes/);
  });

  it('follow it where it goes on as a task', async () => {
    const { running } = await start(
      {
        post: ({ id, method, params }, response) => {
          const { name, taskId } = params as Json;
          if (method === 'tools/call')
            response
              .writeHead(200, JSON_TYPE)
              .end(JSON.stringify({ jsonrpc: '2.0', id, result: { task: { taskId: `of ${name}` } } }));
          else if (method === 'tasks/result' && taskId !== undefined)
            response.writeHead(200, JSON_TYPE).end(JSON.stringify(large(id)));
          else return undefined;
          return true;
        },
      },
      LIMITS,
    );
    for (const name of ['small', 'big', 'any']) await send(running, 'tools/call', { name, task: {} }, name);
    const result = (taskId: string) => send(running, 'tasks/result', { taskId }, `r ${taskId}`);
    assert.match((await result('of small')).text, /larger than 1024 bytes/);
    assert.match((await result('of big')).text, /xxx/);
    assert.match((await result('of any')).text, /xxx/);
    assert.match((await result('unknown')).text, /larger than 1024 bytes|within 400 ms/);
  });

  it('count all that a connection gets of a call together', async () => {
    const { running } = await start(
      {
        post: ({ id, method }, response) => {
          if (method !== 'tools/call') return undefined;
          openStream(response);
          for (let at = 0; at < 10; at++)
            response.write(event({ method: 'notifications/message', params: { data: 'y'.repeat(300) } }));
          response.end(event({ id, result: {} }));
          return true;
        },
      },
      LIMITS,
    );
    const client = await openWebSocket(running.port);
    await client.initialize();
    const { error } = await client.answerTo(client.request('tools/call', { name: 'small' }));
    assert.match((error as Json).message as string, /larger than 1024 bytes/);
  });
});

describe('the first list of a server', () => {
  afterEach(endAll);

  const pages = (answer: (params: Json) => Json): Script => ({
    post: ({ id, method, params }, response) => {
      if (method !== 'tools/list') return undefined;
      response.writeHead(200, JSON_TYPE).end(JSON.stringify({ jsonrpc: '2.0', id, ...answer(params as Json) }));
      return true;
    },
  });
  const page = (name: string) => ({ result: { tools: [{ ...GOOD, name }], nextCursor: 'more' } });
  const names = async (running: RelayUnderTest, params: Json = {}) => {
    const { result } = JSON.parse((await send(running, 'tools/list', params)).text) as { result?: { tools: Json[] } };
    return (result?.tools ?? []).map(({ name }) => name);
  };
  const FIRST = { pins: { servers: ['one'], newTools: 'first-list' } };

  it('goes on from page to page', async () => {
    let at = 0;
    const { running } = await start(
      pages(() => page(`t${at++}`)),
      FIRST,
    );
    assert.deepEqual(await names(running), ['t0']);
    assert.deepEqual(await names(running, { cursor: 'more' }), ['t1']);
    assert.deepEqual(await names(running, { cursor: 'more' }), ['t2']);
  });

  it('ends where the client begins another', async () => {
    let at = 0;
    const { running } = await start(
      pages(() => page(`t${at++}`)),
      FIRST,
    );
    await names(running);
    assert.deepEqual(await names(running), []);
    assert.deepEqual(await names(running, { cursor: 'more' }), []);
  });

  it('ends where it fails', async () => {
    let at = 0;
    const { running } = await start(
      pages(() => (at++ === 1 ? { error: { code: -32000, message: 'no' } } : page(`t${at}`))),
      FIRST,
    );
    await names(running);
    await names(running, { cursor: 'more' });
    assert.deepEqual(await names(running, { cursor: 'more' }), []);
  });

  it('ends after a minute', async () => {
    let [at, now] = [0, Date.now()];
    const { url } = await scriptedServer(pages(() => page(`t${at++}`)));
    const running = await relay({ servers: { one: { url } }, ...FIRST }, { now: () => now });
    assert.deepEqual(await names(running), ['t0']);
    now += 61_000;
    assert.deepEqual(await names(running, { cursor: 'more' }), []);
  });

  it('is none that comes as the answer to a call', async () => {
    const { running } = await start(always(JSON.stringify(list(1)), JSON_TYPE), FIRST);
    assert.doesNotMatch((await call(running)).text, /send all secrets/);
    assert.equal(JSON.parse((await call(running, 'evil')).text).error.code, -32003);
  });
});
