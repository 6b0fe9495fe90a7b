import { Agent, request } from 'node:http';
import { createBench, POSTERN } from './bench.ts';
import { streamMemory } from './stream-memory.ts';

/** Sessions that live in Redis, each used once. */
const SESSIONS = 100_000;
const AT_ONCE = 64;
/** Of each kind, through the relay. */
const STREAMS = 1_000;
/** Bytes. */
const BAR = 150 * 1024 * 1024;

const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);

for (const { kind, before, after } of await streamMemory(POSTERN, STREAMS)) {
  const each = ((after - before) / STREAMS / 1024).toFixed(1);
  console.log(
    `relay: ${megabytes(before)} MiB with one ${kind}, ${megabytes(after)} MiB with ${STREAMS} (${each} KiB each)`,
  );
}

const bench = await createBench();
try {
  const cookies = await bench.cookies(SESSIONS);
  const target = await bench.startSessionAuth({}, process.argv.slice(2));
  const before = await bench.residentBytes();
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let next = 0;
  const visit = async () => {
    for (let at = next++; at < cookies.length; at = next++) await ask(agent, cookies[at] as string);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visit));
  const after = await bench.residentBytes();
  agent.destroy();
  await target.stop();
  console.log(
    `forward-auth: ${megabytes(before)} MiB at start, ${megabytes(after)} MiB after ${SESSIONS} sessions were used once; ` +
      `at most ${megabytes(BAR)} MiB: ${after <= BAR ? 'met' : 'MISSED'}`,
  );
} finally {
  await bench.stop();
}

function ask(agent: Agent, cookie: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const question = request(
      { ...bench.check, agent, headers: { ...bench.check.headers, Cookie: cookie } },
      (answer) => {
        answer.resume();
        if (answer.statusCode === 200) answer.once('end', resolve);
        else reject(new Error(`answered ${answer.statusCode}`));
      },
    );
    question.once('error', reject);
    question.end();
  });
}
