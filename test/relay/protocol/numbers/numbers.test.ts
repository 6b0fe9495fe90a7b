import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { endAll, type RelayUnderTest, relay } from '../../support/relay.ts';
import { CLIENTS, type Place } from './clients.ts';
import { SERVERS } from './servers.ts';

/** None of them would be written so by who reads it as a number of JavaScript, but the last two. */
const ARGUMENTS =
  '{"id":725653563933458432,"version":1.0,"price":12.50,"large":1e400,"small":-0,"digits":0.1234567890123456789,"list":[9007199254740993,1E3],"plain":7,"text":"9007199254740993"}';
const PLACES: Readonly<Record<string, Place>> = {
  'the server': { path: '/servers/one', tool: 'echo' },
  'all as one': { path: '', tool: 'one__echo' },
};

describe('numbers go through as they are written', function () {
  this.timeout(60_000);

  for (const [server, start] of Object.entries(SERVERS))
    describe(server, () => {
      let running: RelayUnderTest;
      before(async () => {
        running = await relay({
          servers: { one: await start() },
          sessionKey: Buffer.alloc(32, 7).toString('base64url'),
          aggregate: { servers: ['one'], timeout: '10s' },
          // Something has to read and to filter the answers.
          policy: { rules: [{ tools: ['*'] }] },
        });
      });
      after(endAll);

      for (const [client, call] of Object.entries(CLIENTS))
        for (const [place, where] of Object.entries(PLACES))
          for (const id of ['9007199254740993', '-9223372036854775808', '"1.0"'])
            it(`${client} → ${place}, id ${id}`, async () => {
              const answer = await call(running.port, where, id, ARGUMENTS);
              assert.ok(answer.includes(`"structuredContent":${ARGUMENTS}`), answer);
              assert.ok(answer.includes(`"id":${id}`), answer);
            });
    });
});
