import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { looseName, Names } from '../../src/platform/names.ts';
import { ResourceUris } from '../../src/platform/resource-uris.ts';
import { Names as AggregateNames } from '../../src/relay/aggregate/names.ts';
import { sessionState } from '../../src/relay/aggregate/session-state.ts';
import { uriToServer } from '../../src/relay/aggregate/uris.ts';
import { sessionOf } from '../../src/relay/eras/legacy/session-id.ts';
import { insufficientScope } from '../../src/relay/gate/insufficient-scope.ts';
import { ToolBook } from '../../src/relay/gate/tools/tool-book.ts';
import { ArgumentSchema } from '../../src/relay/policy/argument-schema.ts';
import { compilePolicy } from '../../src/relay/policy/compile.ts';
import { permissionOf } from '../../src/relay/policy/policy-decision.ts';
import { visible } from '../../src/relay/policy/visible.ts';
import { EventBoundary } from '../../src/relay/protocol/event-boundary.ts';
import { EventParser } from '../../src/relay/protocol/event-parser.ts';
import { weightOf } from '../../src/relay/protocol/json-weight.ts';
import { fieldText, headerMismatch } from '../../src/relay/protocol/mcp-headers.ts';
import { exactMediaType, isEventStream, isJson } from '../../src/relay/protocol/media-type.ts';
import { parseMessage } from '../../src/relay/protocol/message.ts';
import { ambiguousKey, hasRepeatedKey } from '../../src/relay/protocol/message-keys.ts';
import { nestsTooDeep } from '../../src/relay/protocol/nesting.ts';
import { withTraceMeta } from '../../src/relay/protocol/trace-meta.ts';
import { matchRoute, matchTransport } from '../../src/relay/transports/streamable-http/route.ts';
import { HeaderScanner } from '../../src/relay/trust/headers.ts';
import { decodeText, decodeWords, mayBeTwo, splitList } from '../../src/relay/trust/presets/field-value.ts';
import { LineSplitter } from '../../src/relay/upstreams/pipes/line-splitter.ts';
import type { GrowthRow } from './growth.ts';
import { FIELD_TEXTS, repeated, TRICKY } from './texts.ts';

const ALICE: Identity = { ...ANONYMOUS, subject: 'alice', method: 'session', issuer: 'https://idp' };
const NOBODY = { line: () => {}, oversized: () => {}, noise: () => {} };
const GLOBS = ['delete_*', '*_*_*secret*', '*a*a*a*b'];
const URIS = ['file:///etc/*', 'https://*.example.org/*/secret*', '*a*a*a*b'];
const names = new Names(GLOBS);
const uris = new ResourceUris(URIS);
const schema = new ArgumentSchema({
  type: 'object',
  properties: { path: { type: 'string', maxLength: 100 }, all: { type: 'array', uniqueItems: true } },
});
const patterns = new ArgumentSchema({
  type: 'object',
  properties: {
    path: { type: 'string', pattern: '^/data/[\\w/-]+$' },
    address: { type: 'string', pattern: '^[^@\\s]+@example\\.com$' },
    name: { type: 'string', pattern: '^(?:[a-z]+-)*[a-z]+$' },
  },
});
const { relay } = parseConfig({
  relay: {
    servers: { files: { url: 'http://127.0.0.1:9/mcp' } },
    policy: {
      default: 'allow',
      rules: [
        { effect: 'deny', resources: URIS },
        { effect: 'deny', tools: GLOBS },
        { resources: ['file:///data/*', '*a*b*c*'] },
      ],
    },
  },
});
const policy = compilePolicy(relay.policy as NonNullable<typeof relay.policy>, ['files'], () => false);
const judged = (method: string, params: Record<string, unknown>) =>
  policy.judge({ identity: ALICE, server: 'files', method, params });
const listed = (result: unknown) => visible({ result }, ALICE, 'files', policy.shows.bind(policy));
const entries = (make: (index: number) => object) => (size: number) =>
  JSON.stringify(Array.from({ length: Math.ceil(size / 64) }, (_, index) => make(index)));
const demand = {
  always: [],
  entries: [{ by: 'tool' as const, glob: '*a*a*b', scopes: ['x'], held: false }],
  metadataUrl: undefined,
};
const scanner = new HeaderScanner({ identity: ['X-Authenticated-User'], secretHeader: 'X-Secret' });
const aggregateNames = new AggregateNames(['files'], '__', 64);
const LIMIT = 16_777_216;
const asMessage = (make: (size: number) => string) => (size: number) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: make(size) } });
const MESSAGES = Object.fromEntries(Object.entries(TRICKY).map(([name, make]) => [name, asMessage(make)]));
const STRUCTURES = {
  'many keys': (size: number) =>
    `{"jsonrpc":"2.0","id":1,"method":"x","params":{${Array.from({ length: Math.ceil(size / 12) }, (_, at) => `"k${at}":1`).join(',')}}}`,
  'many lists': repeated('[],', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[', '0]}}'),
  'many objects': repeated('{"a":{}},', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[', '0]}}'),
  'escaped quotes': repeated('\\"', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"', '"}}'),
  'space between': repeated(' ', '{"jsonrpc":"2.0","id":1,"method":"x",', '"params":{"a":1}}'),
  ...MESSAGES,
};
const STREAMS = {
  ...TRICKY,
  'empty lines': repeated('\n'),
  returns: repeated('\r'),
  'short events': repeated('data: x\n\n'),
  'one event of many lines': repeated('data: x\n'),
  'fields without value': repeated('data\n'),
  comments: repeated(':\n'),
  ids: repeated('id: 1\nretry: 1\n'),
};
const inPieces = (text: string, push: (piece: Buffer) => void) => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 7) push(bytes.subarray(at, at + 7));
};

/** Everything in the relay that reads what clients, servers and proxies wrote. A new reader gets a row. */
export const RELAY_READERS: readonly GrowthRow[] = [
  { reader: 'JSON-RPC message', inputs: STRUCTURES, read: (text) => parseMessage(Buffer.from(text)) },
  { reader: 'decisive keys', inputs: STRUCTURES, read: ambiguousKey },
  { reader: 'repeated keys', inputs: STRUCTURES, read: (text) => hasRepeatedKey(text, looseName) },
  { reader: 'nesting', inputs: { ...STRUCTURES, depth: repeated('[') }, read: nestsTooDeep },
  {
    reader: 'trace in _meta',
    inputs: STRUCTURES,
    read: (text) => withTraceMeta(Buffer.from(text), { traceparent: 'x', tracestate: undefined }),
  },
  {
    reader: 'event stream',
    inputs: STREAMS,
    read: (text) => new EventParser(LIMIT, () => {}).push(Buffer.from(text)),
  },
  {
    reader: 'event stream in small pieces',
    inputs: STREAMS,
    read: (text) => {
      const parser = new EventParser(LIMIT, () => {});
      inPieces(text, (piece) => parser.push(piece));
    },
  },
  {
    reader: 'ends of events in small pieces',
    inputs: STREAMS,
    read: (text) => {
      const boundary = new EventBoundary();
      inPieces(text, (piece) => {
        boundary.push(piece);
        return boundary.between;
      });
    },
  },
  {
    reader: 'lines of a program in small pieces',
    inputs: STREAMS,
    read: (text) => {
      const splitter = new LineSplitter(LIMIT, NOBODY);
      inPieces(text, (piece) => splitter.push(piece));
    },
  },
  {
    reader: 'a line of a program that is too long to be held',
    inputs: STREAMS,
    read: (text) => {
      const splitter = new LineSplitter(16, NOBODY);
      inPieces(text, (piece) => splitter.push(piece));
    },
  },
  {
    reader: 'weight of a message',
    inputs: { ...TRICKY, numbers: repeated('1.0,'), objects: repeated('{},') },
    read: weightOf,
  },
  { reader: 'name as a careless server reads it', inputs: TRICKY, read: looseName },
  { reader: 'globs over names', inputs: TRICKY, read: (text) => names.hasLike(text) },
  { reader: 'globs over URIs', inputs: TRICKY, read: (text) => [uris.has(text), uris.hasLike(text)] },
  {
    reader: 'globs over URIs with a scheme',
    inputs: Object.fromEntries(
      Object.entries(TRICKY).map(([name, make]) => [name, (size: number) => `file://${make(size)}`]),
    ),
    read: (text) => uris.hasLike(text),
  },
  {
    reader: 'globs over templates',
    inputs: { ...TRICKY, expressions: repeated('{a}'), 'open expressions': repeated('{a', 'file:///') },
    read: (text) => uris.meets(text),
  },
  { reader: 'policy, a resource', inputs: TRICKY, read: (uri) => judged('resources/read', { uri }) },
  { reader: 'policy, a tool', inputs: TRICKY, read: (name) => judged('tools/call', { name }) },
  { reader: 'policy, a method', inputs: TRICKY, read: (method) => judged(method, {}) },
  {
    reader: 'policy, one subscription to one resource',
    inputs: TRICKY,
    read: (uri) => judged('subscriptions/listen', { notifications: { resourceSubscriptions: [uri] } }),
  },
  {
    reader: 'policy, one subscription to many resources',
    inputs: Object.fromEntries(
      Object.entries(TRICKY).map(([name, make]) => [
        name,
        (size: number) => JSON.stringify(Array.from({ length: 400 }, () => make(size / 400))),
      ]),
    ),
    read: (text) =>
      judged('subscriptions/listen', { notifications: { resourceSubscriptions: JSON.parse(text) as string[] } }),
  },
  {
    reader: 'policy, lists of servers',
    inputs: {
      'many tools': entries((index) => ({ name: `tool_${index}`, description: 'x'.repeat(20) })),
      'one long name': (size) => JSON.stringify([{ name: 'a'.repeat(size) }]),
      'one long URI': (size) => JSON.stringify([{ uri: `file://${'/'.repeat(size)}` }]),
      'one long template': (size) => JSON.stringify([{ uriTemplate: `file:///${'{a'.repeat(size / 2)}` }]),
      'many long templates': (size) =>
        JSON.stringify(Array.from({ length: 100 }, () => ({ uriTemplate: 'a*'.repeat(size / 200) }))),
    },
    read: (text) => {
      const list: unknown = JSON.parse(text);
      return listed({ tools: list, resources: list, resourceTemplates: list, prompts: list });
    },
  },
  {
    reader: 'book of tools',
    inputs: {
      'many tools': entries((index) => ({ name: `tool_${index}`, description: 'x'.repeat(20) })),
      'many keys': (size) =>
        JSON.stringify([
          { name: 'x', ...Object.fromEntries(Array.from({ length: Math.ceil(size / 10) }, (_, at) => [`k${at}`, at])) },
        ]),
      'one long name': (size) => JSON.stringify([{ name: 'a'.repeat(size) }]),
    },
    read: (text) => new ToolBook(() => 'hold').learn('files', JSON.parse(text) as unknown[], true, 0),
  },
  {
    reader: 'schema of arguments',
    inputs: {
      'many keys': (size) =>
        JSON.stringify(Object.fromEntries(Array.from({ length: Math.ceil(size / 10) }, (_, at) => [`k${at}`, at]))),
      'one long key': (size) => JSON.stringify({ ['\uff50'.repeat(size)]: 1 }),
      'one long value': (size) => JSON.stringify({ path: 'x'.repeat(size) }),
      'many objects that must differ': (size) =>
        JSON.stringify({ all: Array.from({ length: Math.ceil(size / 12) }, (_, at) => ({ at })) }),
      'many lists that must differ': (size) =>
        JSON.stringify({ all: Array.from({ length: Math.ceil(size / 12) }, (_, at) => [[at]]) }),
    },
    read: (text) => schema.judge(JSON.parse(text), () => hasRepeatedKey(text, looseName)),
  },
  {
    reader: 'patterns of operators',
    inputs: {
      ...TRICKY,
      'a path without its end': repeated('a/', '/data/', ' '),
      'a name without its end': repeated('a-'),
      addresses: repeated('a@'),
    },
    read: (text) => patterns.judge({ path: text, address: text, name: text }, () => false),
  },
  {
    reader: 'media type of an answer',
    inputs: {
      ...FIELD_TEXTS,
      'spaces behind a type': repeated(' ', 'application/json', 'x'),
      'spaces in its charset': repeated(' ', 'text/event-stream; charset', 'x'),
      'semicolons behind a type': repeated(';', 'application/json'),
    },
    read: (text) => [exactMediaType(text), isJson(text), isEventStream(text)],
  },
  {
    reader: 'scopes left to the relay',
    inputs: TRICKY,
    read: (name) => insufficientScope(demand, { id: 1, method: 'tools/call', params: { name } }),
  },
  { reader: 'permission in a refusal', inputs: TRICKY, read: (name) => permissionOf('files', name, name) },
  {
    reader: 'Mcp-Name against the body',
    inputs: {
      ...TRICKY,
      base64: repeated('A', '=?base64?', '='),
      'base64 to the end': repeated('A', '=?base64?', '?='),
    },
    read: (name) =>
      headerMismatch('modern', (header) => (header === 'mcp-name' ? name : 'tools/call'), {
        id: 1,
        method: 'tools/call',
        params: { name },
      }),
  },
  { reader: 'text of a field', inputs: TRICKY, read: fieldText },
  {
    reader: 'request target',
    inputs: { ...TRICKY, query: repeated('a=b&', '/servers/x/mcp?'), server: repeated('a-', '/servers/', '/mcp') },
    read: (target) => [matchRoute('POST', target), matchTransport(target)],
  },
  {
    reader: 'header fields',
    inputs: FIELD_TEXTS,
    read: (text) => scanner.scan(['Connection', text, 'X-Authenticated-User', text, text, text]),
  },
  {
    reader: 'many header fields',
    inputs: { names: repeated('x-a,'), identity: repeated('x_authenticated_user,') },
    read: (text) => scanner.scan(text.split(',').flatMap((name, at) => [`${name}${at}`, name])),
  },
  { reader: 'user of a preset', inputs: FIELD_TEXTS, read: mayBeTwo },
  {
    reader: 'user of a preset, a distinguished name',
    inputs: { parts: repeated('cn=a, ', '', '!='), digits: repeated('1.2=a,', '', ',,') },
    read: mayBeTwo,
  },
  {
    reader: 'words of mail headers',
    inputs: {
      ...FIELD_TEXTS,
      words: repeated('=?utf-8?q?a '),
      ends: repeated('?=   '),
      whole: repeated('=?utf-8?b?YQ==?= '),
    },
    read: (text) => decodeWords(decodeText(text)),
  },
  { reader: 'list in a field', inputs: FIELD_TEXTS, read: (text) => splitList(text, ',') },
  { reader: 'names of several servers as one', inputs: TRICKY, read: (text) => aggregateNames.toServer(text) },
  {
    reader: 'URIs of several servers as one',
    inputs: { ...TRICKY, mark: repeated('a-', 'mcp-') },
    read: (text) => uriToServer(text),
  },
  {
    reader: 'session ids',
    inputs: { ...FIELD_TEXTS, packed: repeated('A', 'postern-era.') },
    read: (text) => [sessionOf(text), sessionState(text)],
  },
];
