import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { after, afterEach, before, beforeEach } from 'mocha';
import { programOrSkip } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { type RunningPostern, startPostern } from '../../support/run-postern.ts';

/** What tests of processes with workers share: one Redis, a folder for each test, and an end of all that it started. */
export interface WorkersStage {
  readonly redisUrl: string;
  readonly folder: string;
  start(args: readonly string[], env?: Readonly<Record<string, string>>): RunningPostern;
}

/** Called within `describe`. */
export function workersStage(): WorkersStage {
  let redis: RedisServer;
  let folder: string;
  const running: RunningPostern[] = [];
  before(async function () {
    redis = await startRedis(await programOrSkip(this, 'redis'));
  });
  after(() => redis?.stop());
  beforeEach(async () => {
    folder = await mkdtemp(`${tmpdir()}/postern-workers-test-`);
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.child.kill('SIGTERM');
      await one.ended;
    }
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get redisUrl() {
      return redis.url;
    },
    get folder() {
      return folder;
    },
    start: (args, env) => {
      const started = startPostern(args, env);
      running.push(started);
      return started;
    },
  };
}

/** Asks forward-auth on a connection of its own, so that the next worker has its turn. @returns the status */
export function checkAnew(port: number, path: string): Promise<number> {
  const headers = {
    'X-Forwarded-Method': 'GET',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'mcp.example.com',
    'X-Forwarded-Uri': path,
    'X-Forwarded-For': '203.0.113.7',
  };
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/verify/traefik', headers, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
