// ContextForge's tools by both ways, asked through Traefik as a client and as an attacker would.

import { ask, authorize, discover } from '../check/mcp.mjs';
import { Person } from '../check/person.mjs';

const EDGE = 'http://127.0.0.1:8080';
const WAYS = {
  'through the relay': `${EDGE}/servers/forge/mcp`,
  'past the relay': `${EDGE}/servers/6f1d2f0e6f3b4c1a9a392f6f2c1f7a11/mcp`,
};
/** A user whom ContextForge lets do everything, as a client would write it. */
const FORGED = {
  'X-Authenticated-Email': 'admin@contextforge.invalid',
  'X-Authenticated-User': 'admin@contextforge.invalid',
};
const ECHO = ['tools/call', { name: 'everything-echo', arguments: { message: 'through two gates' } }];

let failed = 0;

async function step(what, look) {
  try {
    await look();
    process.stdout.write(`ok    ${what}\n`);
  } catch (error) {
    failed++;
    process.stdout.write(`FAIL  ${what}\n      ${error.message || error.code}\n`);
  }
}

async function tokenOf(name, endpoint) {
  return authorize(await discover(endpoint), new Person(name, name));
}

const call = (endpoint, headers) => ask(endpoint, 1, ...ECHO, headers);

function expectRefused({ status, message, text }) {
  if (message?.result !== undefined || status === 200) throw new Error(`${status} ${text.slice(0, 300)}`);
}

for (const [way, endpoint] of Object.entries(WAYS)) {
  await step(`${way}, alice calls a tool of ContextForge`, async () => {
    const headers = { Authorization: `Bearer ${await tokenOf('alice', endpoint)}` };
    const { message, status, text } = await call(endpoint, headers);
    if (message?.result?.content?.[0]?.text !== 'Echo: through two gates')
      throw new Error(`${status} ${text.slice(0, 300)}`);
  });
  await step(`${way}, no one gets in without a token, whatever they write`, async () => {
    for (const headers of [{}, FORGED, { ...FORGED, Authorization: 'Bearer forged' }])
      expectRefused(await call(endpoint, headers));
  });
  await step(
    `${way}, bob, whom ContextForge does not know, is refused there, and is no one else by a header`,
    async () => {
      const headers = { Authorization: `Bearer ${await tokenOf('bob', endpoint)}` };
      expectRefused(await call(endpoint, headers));
      expectRefused(await call(endpoint, { ...headers, ...FORGED }));
      expectRefused(await call(endpoint, { ...headers, 'X-Authenticated-Email': 'alice@example.com' }));
    },
  );
  await step(`${way}, carol, who is not in the group, is refused by Postern`, async () => {
    const { status } = await call(endpoint, { Authorization: `Bearer ${await tokenOf('carol', endpoint)}` });
    if (status !== 403) throw new Error(`${status}, expected 403`);
  });
}
await step('no other path leads to ContextForge', async () => {
  const headers = { Authorization: `Bearer ${await tokenOf('alice', WAYS['past the relay'])}` };
  for (const path of ['/v1/tools', '/admin/', '/mcp', '/rpc', '/servers/6f1d2f0e6f3b4c1a9a392f6f2c1f7a11/sse'])
    expectRefused(await call(EDGE + path, headers));
});

process.stdout.write(failed === 0 ? 'ContextForge is well\n' : `${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
