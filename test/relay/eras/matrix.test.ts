import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { endAll, onEnd, relay } from '../support/relay.ts';
import { CANCELLED, CHANGES, WATCHED } from './matrix/server.ts';
import { type Asker, WAYS_IN } from './matrix/ways-in.ts';
import { WAYS_OUT } from './matrix/ways-out.ts';

const textOf = (result: unknown) => (result as { content: Array<{ text: string }> }).content[0]?.text;

/** What must work between every client and every server. */
const FEATURES: Readonly<Record<string, (asker: Asker, folder: string) => Promise<void>>> = {
  'says what the server is': async ({ serverName, instructions }) => {
    assert.deepEqual([serverName, instructions], ['matrix', 'Be kind.']);
  },
  'lists tools and calls one': async ({ tools, call }) => {
    assert.ok((await tools()).includes('echo'));
    assert.equal(textOf(await call('echo', { value: 'żółw' })), '"żółw"');
  },
  'passes errors of tools and of the protocol': async ({ call, read, prompt }) => {
    assert.match(JSON.stringify(await call('fail')), /on purpose.*"isError":true|"isError":true.*on purpose/);
    await assert.rejects(prompt('no such prompt', {}), /no such prompt/);
    assert.match(JSON.stringify(await read(WATCHED)), /text of/);
  },
  'goes through lists page by page': async ({ resources, templates }) => {
    const uris: string[] = [];
    for (let page = await resources(); ; page = await resources(page.next)) {
      uris.push(...page.uris);
      if (page.next === undefined) break;
    }
    assert.deepEqual(uris, ['test://1', 'test://2', 'test://3']);
    assert.deepEqual(await templates(), ['test://{number}']);
  },
  'gets prompts, completed': async ({ prompt, complete }) => {
    assert.deepEqual(await complete('greet', 'who', 'ant'), ['anton']);
    assert.match(JSON.stringify(await prompt('greet', { who: 'anton' })), /Hello anton/);
  },
  'hears progress': async ({ call }) => {
    const heard: number[] = [];
    await call('progress', {}, { onprogress: ({ progress }) => heard.push(progress) });
    assert.deepEqual(heard, [1, 2]);
  },
  'hears logs of its level': async ({ logsOf }) => {
    assert.deepEqual(await logsOf('log'), ['logged']);
  },
  'is asked by elicitation': async ({ call }) => {
    assert.match(String(textOf(await call('elicit'))), /alice@example.com/);
  },
  'is asked for a sample': async ({ call }) => {
    assert.match(String(textOf(await call('sample'))), /sampled by alice/);
  },
  'is asked for its roots': async ({ call }) => {
    assert.match(String(textOf(await call('roots'))), /file:\/\/\/home\/alice/);
  },
  'takes a call back': async ({ call }, folder) => {
    const cancel = new AbortController();
    const failed = assert.rejects(call('wait', {}, { signal: cancel.signal }));
    await until('the call is there', () => linesOf(folder, 'waiting') === 1);
    cancel.abort();
    await failed;
    await until('the server knows', () => linesOf(folder, CANCELLED) === 1);
  },
  'hears what changes': async ({ listen }, folder) => {
    const heard = new Set<string>();
    await listen((what) => heard.add(what));
    await until('it was told', () => {
      appendFileSync(join(folder, CHANGES), 'one\n');
      return heard.has('tools') && heard.has(WATCHED);
    });
    assert.deepEqual([...heard].sort(), [WATCHED, 'tools']);
  },
};

function linesOf(folder: string, file: string): number {
  return readFileSync(join(folder, file), 'utf8').split('\n').length - 1;
}

describe('every client with every server', function () {
  this.timeout(60_000);

  for (const [wayIn, connect] of Object.entries(WAYS_IN))
    for (const [wayOut, start] of Object.entries(WAYS_OUT))
      describe(`${wayIn} → ${wayOut}`, () => {
        let asker: Asker;
        let folder: string;

        before(async () => {
          folder = mkdtempSync(join(tmpdir(), 'postern-matrix-'));
          onEnd(() => rmSync(folder, { recursive: true, force: true }));
          for (const file of ['waiting', CANCELLED, CHANGES]) writeFileSync(join(folder, file), '');
          const { port } = await relay({ servers: { one: await start(folder) } });
          asker = await connect(port);
        });
        after(endAll);

        for (const [feature, works] of Object.entries(FEATURES)) it(feature, () => works(asker, folder));
      });
});
