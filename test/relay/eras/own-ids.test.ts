import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { endAll, onEnd, relay } from '../support/relay.ts';
import { event, openStream, scriptedServer } from '../support/scripted-server.ts';
import { askLegacy, type Json, listenLegacy, openSession } from './support/wire.ts';

const ABOUT = {
  resultType: 'complete',
  supportedVersions: ['2026-07-28'],
  capabilities: { tools: {}, resources: { subscribe: true } },
};

describe('ids of the relay’s own requests', function () {
  this.timeout(30_000);
  afterEach(endAll);

  it('meet none of each other, also where one stream of changes begins before the last one ends', async () => {
    const ids: unknown[] = [];
    const { url } = await scriptedServer({
      post: ({ id, method, params }, response) => {
        ids.push(id);
        if (method === 'subscriptions/listen') {
          openStream(response);
          const { notifications } = params as Json;
          response.write(event({ method: 'notifications/subscriptions/acknowledged', params: { notifications } }));
          return true;
        }
        response.writeHead(200, { 'Content-Type': 'application/json' });
        const result = method === 'server/discover' ? ABOUT : { resultType: 'complete', content: [] };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        return true;
      },
    });
    const { port } = await relay({ servers: { one: { url, era: 'modern' } } });
    const session = await openSession(port, 'alice');
    const stream = listenLegacy(port, 'alice', session);
    onEnd(stream.close);
    await until('the stream stands', () => ids.length >= 2);
    for (const uri of ['test://1', 'test://2'])
      assert.equal((await askLegacy(port, 'alice', session, 'resources/subscribe', { uri })).status, 200);
    await until('it was begun anew for each', () => ids.length >= 4);
    assert.equal(new Set(ids).size, ids.length, JSON.stringify(ids));
  });
});
