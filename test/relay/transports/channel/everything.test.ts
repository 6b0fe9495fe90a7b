import assert from 'node:assert/strict';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { after, afterEach, before, describe, it } from 'mocha';
import type { Child } from '../../../support/child.ts';
import { startEverythingServer } from '../../../support/everything-server.ts';
import { freePorts } from '../../../support/free-port.ts';
import { endAll, relay } from '../../support/relay.ts';
import { sdkClient, TRANSPORTS } from '../../support/sdk-client.ts';

for (const [name, transport] of Object.entries(TRANSPORTS))
  describe(`the official client over ${name} and the official example server`, () => {
    let everything: Child;
    let url: string;
    before(async () => {
      const [port] = (await freePorts(1)) as [number];
      everything = await startEverythingServer(port);
      url = `http://127.0.0.1:${port}/mcp`;
    });
    after(() => everything.stop());
    afterEach(endAll);

    it('tools, prompts, progress, and a session that ends with the connection', async () => {
      const running = await relay({ servers: { one: { url } } });
      const client = sdkClient();
      await client.connect(transport(running.port, 'alice'));
      const { tools } = await client.listTools();
      assert.ok(tools.some((tool) => tool.name === 'echo'));
      assert.ok((await client.listPrompts()).prompts.length > 0);
      const echoed = await client.callTool({ name: 'echo', arguments: { message: 'grüße 🐘\u2028' } });
      assert.match(JSON.stringify(echoed.content), /grüße 🐘/);
      const steps: number[] = [];
      await client.callTool(
        { name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } },
        undefined,
        { onprogress: ({ progress }) => void steps.push(progress) },
      );
      // The client forgets its handler at the result, which may overtake the last step within the client.
      assert.deepEqual(steps.slice(0, 2), [1, 2]);
      const label = new RegExp(`open_streams\\{transport="${name}"\\} 1`);
      assert.match(await running.metrics(), label);
      assert.match(await running.metrics(), /requests_total\{server="one",method="proxy",outcome="relayed"\} \d/);
      assert.match(await running.metrics(), /upstream_up\{server="one"\} 1/);

      const ended = everything.output.split('Received session termination request').length;
      await client.close();
      while (everything.output.split('Received session termination request').length === ended)
        await new Promise((resolve) => setTimeout(resolve, 20));
      assert.doesNotMatch(await running.metrics(), label);
    });

    it('requests of the server: sampling, elicitation, roots; and notifications of its own stream', async () => {
      const running = await relay({ servers: { one: { url } } });
      const client = sdkClient();
      client.setRequestHandler(CreateMessageRequestSchema, () => ({
        model: 'none',
        role: 'assistant' as const,
        content: { type: 'text' as const, text: 'sampled here' },
      }));
      client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'decline' as const }));
      let asked = () => {};
      const rootsAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      client.setRequestHandler(ListRootsRequestSchema, () => {
        asked();
        return { roots: [{ uri: 'file:///home', name: 'home' }] };
      });
      await client.connect(transport(running.port, 'alice'));
      await rootsAsked;
      const sampled = await client.callTool({
        name: 'trigger-sampling-request',
        arguments: { prompt: 'say it', maxTokens: 10 },
      });
      assert.match(JSON.stringify(sampled.content), /sampled here/);
      const elicited = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
      assert.match(JSON.stringify(elicited.content), /declin/);

      const logged = new Promise<void>((resolve) => {
        client.setNotificationHandler(LoggingMessageNotificationSchema, () => resolve());
      });
      await client.setLoggingLevel('debug');
      await client.callTool({ name: 'toggle-simulated-logging', arguments: {} });
      await logged;
    });

    it('keeps two users apart: each has a session of its own', async () => {
      const running = await relay({ servers: { one: { url } } });
      const clients = [sdkClient(), sdkClient()];
      const heard: string[][] = [[], []];
      for (const [index, client] of clients.entries()) {
        client.fallbackNotificationHandler = async ({ method }) => void heard[index]?.push(method);
        await client.connect(transport(running.port, index === 0 ? 'alice' : 'bob'));
      }
      const answers = await Promise.all(
        clients.flatMap((client, index) =>
          Array.from({ length: 20 }, (_, turn) =>
            client.callTool({ name: 'echo', arguments: { message: `user ${index} turn ${turn}` } }),
          ),
        ),
      );
      for (const [place, answer] of answers.entries())
        assert.match(JSON.stringify(answer.content), new RegExp(`user ${Math.floor(place / 20)} turn ${place % 20}"`));
      await clients[0]?.setLoggingLevel('debug');
      const logs = () => heard.map((methods) => methods.includes('notifications/message'));
      await clients[0]?.callTool({ name: 'toggle-simulated-logging', arguments: {} });
      while (!logs()[0]) await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual(logs(), [true, false]);
    });
  });
