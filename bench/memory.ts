import { Agent, request } from 'node:http';
import { createBench, POSTERN } from './bench.ts';
import { streamMemory } from './stream-memory.ts';

/** Each of them signed in, each with a token. */
const PEOPLE = Number(process.env.BENCH_PEOPLE ?? 12_000);
const AT_ONCE = 64;
/** Of each kind, through the relay. */
const STREAMS = Number(process.env.BENCH_STREAMS ?? 1_000);
/** Bytes: what the chart allows forward-auth. */
const LIMIT = 384 * 1024 * 1024;
/** What Node.js takes of itself within that limit: half of it, which it cannot see outside of a container. */
const HEAP = [`--max-old-space-size=${LIMIT / 2 / 1024 / 1024}`];

type Headers = Readonly<Record<string, string>>;

const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);

for (const { kind, before, after } of await streamMemory(POSTERN, STREAMS)) {
  const each = ((after - before) / STREAMS / 1024).toFixed(1);
  console.log(
    `relay: ${megabytes(before)} MiB with one ${kind}, ${megabytes(after)} MiB with ${STREAMS} (${each} KiB each)`,
  );
}

const bench = await createBench();
const nodeOptions = [...HEAP, ...process.argv.slice(2)];
try {
  const cookies = (await bench.cookies(PEOPLE)).map((Cookie) => ({ Cookie }));
  const withSessions = await bench.startSessionAuth({}, nodeOptions);
  await measure(`${PEOPLE} people of 100 groups used sessions with three tokens of 5 KB`, cookies);
  await withSessions.stop();
  const tokens = (await bench.realTokens(PEOPLE)).map((Authorization) => ({ Authorization }));
  const withTokens = await bench.startAuth({}, nodeOptions);
  await measure(`${PEOPLE} people of 100 groups came with new tokens of ${tokenSize(tokens)} KB`, tokens);
  await measure('they came again', tokens);
  await withTokens.stop();
} finally {
  await bench.stop();
}

async function measure(what: string, all: readonly Headers[]): Promise<void> {
  const before = await bench.residentBytes();
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let next = 0;
  let highest = before;
  const visit = async () => {
    for (let at = next++; at < all.length; at = next++) {
      await ask(agent, all[at] as Headers);
      if (at % 500 === 0) highest = Math.max(highest, await bench.residentBytes());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visit));
  agent.destroy();
  highest = Math.max(highest, await bench.residentBytes());
  console.log(
    `forward-auth: ${megabytes(before)} MiB before, ${megabytes(highest)} MiB at most while ${what}; ` +
      `limit of the chart ${megabytes(LIMIT)} MiB: ${highest <= LIMIT ? 'met' : 'MISSED'}`,
  );
}

function tokenSize([first]: ReadonlyArray<{ readonly Authorization: string }>): string {
  return ((first?.Authorization.length ?? 0) / 1_000).toFixed(1);
}

function ask(agent: Agent, own: Headers): Promise<void> {
  return new Promise((resolve, reject) => {
    const question = request({ ...bench.check, agent, headers: { ...bench.check.headers, ...own } }, (answer) => {
      answer.resume();
      if (answer.statusCode === 200) answer.once('end', resolve);
      else reject(new Error(`answered ${answer.statusCode}`));
    });
    question.once('error', reject);
    question.end();
  });
}
