import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { browserOrSkip } from '../support/browser.ts';
import { assertLooks } from '../support/looks.ts';
import { startRelayProcess } from './hostile/support/relay-process.ts';
import { ask, CALL, ECHO, endAll, type RelayUnderTest, relay, type Sent, upstream } from './support/relay.ts';

const BROWSER = [
  'Accept',
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8',
  'Sec-Fetch-Mode',
  'navigate',
  'Sec-Fetch-Dest',
  'document',
];
/** Without Fetch Metadata, as over plain HTTP. */
const OLD_BROWSER = ['Accept', 'text/html,*/*;q=0.8'];
const CLIENT = ['Accept', 'application/json, text/event-stream'];
const ANN = ['X-Authenticated-User', 'ann', 'X-Authenticated-Name', 'Ann Able', 'X-Authenticated-Method', 'session'];

interface Case {
  readonly sent: Sent;
  readonly status: number;
  readonly title: RegExp;
  readonly text: RegExp;
  /** What an MCP client gets for the same request; absent: it is no refusal for one. */
  readonly message?: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  'no identity': {
    sent: { method: 'GET' },
    status: 401,
    title: /You are not signed in/,
    text: /You are not signed in here, or your session has ended/,
    message: /authentication is required/,
  },
  'no such server': {
    sent: { method: 'GET', path: '/servers/nothing/mcp', headers: ANN },
    status: 404,
    title: /Nothing is here/,
    text: /nothing at this address that is open to you/,
    message: /there is no such MCP server/,
  },
  'an address that is none': {
    sent: { method: 'GET', path: '/favicon.html' },
    status: 404,
    title: /Nothing is here/,
    text: /nothing at this address/,
    message: /MCP servers are at/,
  },
  'a token in the address': {
    sent: { method: 'GET', path: '/servers/one/mcp?access_token=x', headers: ANN },
    status: 400,
    title: /This address cannot be used/,
    text: /a token in the query string is not accepted/,
    message: /a token in the query string is not accepted/,
  },
  'a foreign origin': {
    sent: { method: 'GET', headers: [...ANN, 'Origin', 'https://other.example'] },
    status: 403,
    title: /You may not open this page/,
    text: /came from a page of another site/,
    message: /requests from this Origin are not allowed/,
  },
  'an identity that comes twice': {
    sent: { method: 'GET', headers: [...ANN, 'X-Authenticated-User', 'bert'] },
    status: 400,
    title: /This address cannot be used/,
    text: /The request cannot be served as it is: .*X-Authenticated-User/i,
    message: /X-Authenticated-User/i,
  },
  'a server of WebSockets': {
    sent: { method: 'GET', path: '/servers/one/ws', headers: ANN },
    status: 426,
    title: /For MCP clients/,
    text: /This is the address of an MCP server/,
    message: /speaks WebSocket only/,
  },
  'an MCP server': {
    sent: { method: 'GET', headers: ANN },
    status: 406,
    title: /For MCP clients/,
    text: /This is the address of an MCP server/,
  },
  'a stream of events': {
    sent: { method: 'GET', path: '/servers/one/sse', headers: ANN },
    status: 406,
    title: /For MCP clients/,
    text: /This is the address of an MCP server/,
  },
};

describe('a refusal of the relay', () => {
  let under: RelayUnderTest;

  before(async () => {
    const url = await upstream(ECHO);
    under = await relay({
      servers: { one: { url }, two: { url } },
      trust: { preset: 'postern' },
      authRequired: true,
      policy: { rules: [{ who: 'anyone-signed-in', servers: ['one'] }] },
    });
  });
  after(endAll);

  for (const [what, { sent, status, title, text, message }] of Object.entries(CASES)) {
    for (const [which, headers] of [
      ['a browser', BROWSER],
      ['a browser without Fetch Metadata', OLD_BROWSER],
    ] as const)
      it(`because of ${what} is a page for ${which}`, async () => {
        const answer = await ask(under.port, { ...sent, headers: [...(sent.headers ?? []), ...headers] });
        assert.equal(answer.status, status);
        assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
        assert.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.text)));
        assert.equal(answer.headers['cache-control'], 'no-store');
        assert.match(answer.text, new RegExp(`<h1>${title.source}</h1>`));
        assert.match(answer.text, text);
        assert.match(String(answer.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/);
        assert.doesNotMatch(answer.text, /<script|jsonrpc/);
      });
    if (message !== undefined)
      it(`because of ${what} is a JSON-RPC error for an MCP client`, async () => {
        const answer = await ask(under.port, { ...sent, headers: [...(sent.headers ?? []), ...CLIENT] });
        assert.equal(answer.status, status);
        assert.equal(answer.headers['content-type'], 'application/json');
        const { jsonrpc, id, error, ...more } = JSON.parse(answer.text);
        assert.deepEqual([jsonrpc, id, more], ['2.0', null, {}]);
        assert.equal(typeof error.code, 'number');
        assert.match(error.message, message);
      });
  }

  it('is JSON for programs of every other kind', async () => {
    for (const headers of [
      [],
      ['Accept', '*/*'],
      ['Accept', 'text/html', 'Sec-Fetch-Mode', 'cors'],
      ['Accept', 'text/html', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'iframe'],
      ['Accept', 'text/html', 'X-Requested-With', 'XMLHttpRequest'],
      ['Accept', 'text/html, text/event-stream'],
    ]) {
      const answer = await ask(under.port, { method: 'GET', headers });
      assert.equal(answer.headers['content-type'], 'application/json', headers.join());
      assert.equal(answer.status, 401);
    }
    const posted = await ask(under.port, { headers: ['Accept', 'text/html'], body: CALL });
    assert.equal(posted.headers['content-type'], 'application/json');
  });

  it('is a page for a form that a person sent', async () => {
    const headers = [...BROWSER, 'Content-Type', 'application/x-www-form-urlencoded'];
    const { status, text } = await ask(under.port, { headers, body: 'a=b' });
    assert.equal(status, 401);
    assert.match(text, /<h1>You are not signed in<\/h1>/);
    assert.match(text, />Sign in<\/a>/);
    assert.doesNotMatch(text, /Sign in as another|prompt=login/);
  });

  it('is in the frame of all pages, for who is known and for strangers, whatever the address', async () => {
    const plain = await relay({ servers: { one: { url: await upstream(ECHO) } }, authRequired: true });
    for (const [path, status] of [
      ['/servers/one/nothing', 404],
      ['/servers/none/mcp', 404],
      ['/servers/none/sse', 404],
      ['/servers/one/ws', 426],
      ['/servers/one/messages', 405],
      ['/nothing', 404],
      ['/a//b', 404],
    ] as const) {
      const known = await ask(plain.port, { method: 'GET', path, headers: [...ANN, ...BROWSER] });
      assert.equal(known.status, status, path);
      assert.match(
        known.text,
        /<a class="brand" href="https:\/\/mcp\.example\.com\/_postern\/home">.*Postern<\/a>/,
        path,
      );
      assert.match(known.text, /<span class="who">Ann Able<\/span>/, path);
      assert.match(known.text, /href="https:\/\/mcp\.example\.com\/_postern\/sign-out"/, path);
      const stranger = await ask(plain.port, { method: 'GET', path, headers: BROWSER });
      assert.match(stranger.text, /<a class="brand" href=/, path);
      assert.doesNotMatch(stranger.text, /class="who"/, path);
    }
  });

  it('tells how to add a server to who may use it, and nobody else', async () => {
    const url = await upstream(ECHO);
    const { port } = await relay({
      servers: { one: { url }, two: { url } },
      aggregate: { servers: ['one', 'two'] },
      policy: { rules: [{ who: { users: ['ann'] }, servers: ['one'] }] },
    });
    for (const [path, name, address] of [
      ['/servers/one/mcp', 'one', 'https://mcp.example.com/servers/one/mcp'],
      ['/servers/one/mcp/?a=b', 'one', 'https://mcp.example.com/servers/one/mcp'],
      ['/servers/one/sse', 'one', 'https://mcp.example.com/servers/one/mcp'],
      ['/mcp', 'all-servers', 'https://mcp.example.com/mcp'],
    ] as const) {
      const { status, text } = await ask(port, { method: 'GET', path, headers: [...ANN, ...BROWSER] });
      assert.equal(status, 406, path);
      assert.ok(text.includes(`claude mcp add --transport http ${name} ${address}<`), text);
    }
    const bert = ['X-Authenticated-User', 'bert', 'X-Authenticated-Method', 'session'];
    for (const [path, who] of [
      ['/servers/two/mcp', ANN],
      ['/servers/two/sse', ANN],
      ['/servers/one/mcp', bert],
    ] as const) {
      const { status, text } = await ask(port, { method: 'GET', path, headers: [...who, ...BROWSER] });
      assert.equal(status, 403, path);
      assert.match(text, /<h1>You may not open this page<\/h1>[\s\S]*The rules of this service do not allow it/, path);
      assert.match(text, />Sign in as another</, path);
      assert.doesNotMatch(text, /claude mcp add/, path);
    }
  });

  it('says who is refused, and whom to ask, in the reader’s language', async () => {
    const headers = [...ANN, ...BROWSER, 'Origin', 'https://other.example', 'X-Request-Id', 'abc-1'];
    for (const [language, title, request] of [
      ['de-AT', /Sie dürfen diese Seite nicht öffnen/, /abc-1/],
      ['fr', /Vous ne pouvez pas ouvrir cette page/, /abc-1/],
      ['xx', /You may not open this page/, /abc-1/],
    ] as const) {
      const answer = await ask(under.port, { method: 'GET', headers: [...headers, 'Accept-Language', language] });
      assert.match(answer.text, title);
      assert.match(answer.text, request);
      assert.match(answer.text, /href="https:\/\/mcp\.example\.com\/_postern\/sign-in\?/);
    }
    const known = await ask(under.port, { method: 'GET', path: '/servers/nothing/mcp', headers: [...ANN, ...BROWSER] });
    assert.match(known.text, /<dd>Ann Able<\/dd>/);
    assert.match(known.text, /href="https:\/\/mcp\.example\.com\/_postern\/home"/);
  });

  it('is shown without logo and texts by a relay whose machine has not got their files', async function () {
    this.timeout(300_000);
    const pages = { name: 'Gate of Acme', logoPath: '/not/here/logo.svg', textsPath: '/not/here/texts.yaml' };
    const running = await startRelayProcess({}, { root: { auth: { pages } } });
    try {
      const headers = [...ANN, ...BROWSER];
      const { status, text } = await ask(running.port, { method: 'GET', path: '/servers/nothing/mcp', headers });
      assert.equal(status, 404);
      assert.match(text, /Gate of Acme/);
      const log = running.child.output.split('\n').find((line) => line.includes('neither logo nor texts'));
      assert.match(log ?? '', /"problems":\["auth\.pages\.logoPath: /);
    } finally {
      await running.stop();
    }
  });

  it('shows nothing as markup of what a request says', async () => {
    const path = '/servers/one/<img-src=x-onerror=alert(1)>';
    const name = encodeURIComponent('<script>alert(1)</script>');
    const headers = ['X-Authenticated-User', 'eve', 'X-Authenticated-Name', name, ...BROWSER];
    const { text } = await ask(under.port, { method: 'GET', path, headers });
    assert.doesNotMatch(text, /<img-|<script/);
    assert.match(text, /&#60;img-src=x/);
  });

  it('leads to no page of forward-auth behind another gate', async () => {
    const other = await relay({
      servers: { one: { url: await upstream(ECHO) } },
      trust: { preset: 'oauth2-proxy' },
      authRequired: true,
    });
    const { status, text } = await ask(other.port, { method: 'GET', headers: BROWSER });
    assert.equal(status, 401);
    assert.doesNotMatch(text, /_postern/);
  });

  it('has no fault that a person would stumble over, and loads nothing', async function () {
    this.timeout(300_000);
    const browser = await browserOrSkip(this);
    try {
      const { context, page, complaints } = await browser.person();
      const loaded: string[] = [];
      page.on('request', (request) => loaded.push(request.url()));
      const ann = Object.fromEntries(ANN.flatMap((name, at) => (at % 2 === 0 ? [[name, ANN[at + 1] as string]] : [])));
      for (const [name, path, status, who] of [
        ['relay-signed-out', '/servers/one/mcp', 401, {}],
        ['relay-mcp', '/servers/one/mcp', 406, ann],
        ['relay-nothing', '/servers/nothing/mcp', 404, ann],
        ['relay-refused', '/servers/two/mcp', 403, ann],
      ] as const) {
        loaded.length = 0;
        await context.setExtraHTTPHeaders(who);
        const url = `http://127.0.0.1:${under.port}${path}`;
        assert.equal((await page.goto(url))?.status(), status);
        await assertLooks(page, name);
        assert.notEqual(await page.evaluate('getComputedStyle(document.querySelector("main")).borderRadius'), '0px');
        assert.deepEqual(
          loaded.filter((one) => !one.startsWith('data:')),
          [url],
        );
      }
      assert.deepEqual(
        complaints.filter((text) => !/status of 4/.test(text)),
        [],
      );
      await context.close();
    } finally {
      await browser.close();
    }
  });
});

describe('a request that the relay cannot read', () => {
  let under: RelayUnderTest;

  before(async () => {
    under = await relay({ servers: { one: { url: await upstream(ECHO) } }, limits: { maxHeaders: '16KiB' } });
  });
  after(endAll);

  const accept = 'Accept: text/html\r\nAccept-Language: fr\r\n';
  const get = 'GET /servers/one/mcp HTTP/1.1\r\nHost: a\r\n';
  const many = Array.from({ length: 310 }, (_, n) => `A${n}: b\r\n`).join('');
  const cookie = (bytes: number) => `Cookie: ${'c'.repeat(bytes)}\r\n`;
  const cases: Readonly<Record<string, readonly [status: number, text: string, page: RegExp, error: string]>> = {
    'fields that are too many': [431, `${get}ACCEPT${many}\r\n`, /Votre navigateur a trop envoyé/, 'too_many_headers'],
    'fields that are too large': [
      431,
      `${get}ACCEPT${cookie(40_000)}\r\n`,
      /Supprimez les cookies de ce site/,
      'headers_too_large',
    ],
    'a field without a colon': [400, `${get}ACCEPTnonsense\r\n\r\n`, /La requête est illisible/, 'bad_request'],
    'two lengths': [
      400,
      `${get}ACCEPTContent-Length: 1\r\nContent-Length: 2\r\n\r\n`,
      /La requête est illisible/,
      'bad_request',
    ],
  };

  for (const [what, [status, text, page, error]] of Object.entries(cases)) {
    it(`because of ${what} is a page for a browser`, async () => {
      const answer = await raw(under.port, text.replace('ACCEPT', accept));
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(answer, /\r\nConnection: close\r\n/i);
      assert.match(answer, /\r\nContent-Type: text\/html; charset=utf-8\r\n/);
      assert.match(answer, page);
    });

    it(`because of ${what} is JSON for a program`, async () => {
      const answer = await raw(under.port, text.replace('ACCEPT', ''));
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));
      assert.equal(body.error, error);
      assert.equal(typeof body.error_description, 'string');
    });
  }

  it('is JSON if nothing of it is known', async () => {
    assert.match(await raw(under.port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 .*"bad_request"/s);
  });

  it('is answered also if it is much too large', async () => {
    const answer = await raw(under.port, `${get}${accept}${cookie(1_000_000)}\r\n`);
    assert.match(answer, /^HTTP\/1\.1 431 .*(?:"headers_too_large"|Supprimez les cookies)/s);
  });
});

/** What comes until the other side ends. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = createConnection({ port, host: '127.0.0.1' }, () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', reject);
    socket.on('end', () => {
      socket.end();
      resolve(answer);
    });
  });
}
