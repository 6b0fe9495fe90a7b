import assert from 'node:assert/strict';
import { CreateMessageRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { freePorts } from '../../support/free-port.ts';
import { endAll } from '../support/relay.ts';
import { sdkClient, TRANSPORTS } from '../support/sdk-client.ts';
import { aggregate, until, whole } from './support.ts';

describe('all servers as one, over connections', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const name of ['websocket', 'http-sse'] as const)
    it(`${name}: lists, questions of servers, and the announcement of one that comes back`, async () => {
      const [port] = (await freePorts(1)) as [number];
      const [old, modern] = await Promise.all([whole('legacy'), whole('modern')]);
      const running = await aggregate(
        { old, modern, late: { url: `http://127.0.0.1:${port}/mcp` } },
        { timeout: '3s' },
      );
      const client = sdkClient();
      client.setRequestHandler(CreateMessageRequestSchema, () => ({
        model: 'none',
        role: 'assistant' as const,
        content: { type: 'text' as const, text: 'it' },
      }));
      let announced = 0;
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
        announced += 1;
      });
      await client.connect(TRANSPORTS[name](running.port, 'alice', '*'));
      const { tools } = await client.listTools();
      assert.deepEqual([...new Set(tools.map((tool) => tool.name.split('__')[0]))], ['old', 'modern']);
      const asked = await client.callTool({ name: 'old__test_sampling', arguments: { prompt: 'say' } });
      assert.match(JSON.stringify(asked.content), /LLM response: it/);
      const plain = await client.callTool({ name: 'modern__test_simple_text' });
      assert.match(JSON.stringify(plain.content), /simple text/);
      await whole('legacy', port);
      await until(() => announced > 0);
      assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'late__test_simple_text'));
      assert.match(await running.metrics(), /requests_total\{server="old",method="\w+",outcome="relayed"\} [1-9]/);
    });
});
