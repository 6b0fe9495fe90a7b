import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { Webhook as Verifier } from 'standardwebhooks';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createWatchMetrics } from '../../src/platform/metrics.ts';
import type { SecurityEvent } from '../../src/watch/security-event.ts';
import { pauseAfter, retryAfter } from '../../src/watch/webhook/back-off.ts';
import { Webhook } from '../../src/watch/webhook/webhook.ts';
import { until } from '../support/until.ts';
import { watching } from './watching.ts';

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`;
const QUICK = { first: 5, most: 20 };

interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver that answers each delivery as told, by its number from 0 on. */
class Receiver {
  readonly deliveries: Delivery[] = [];
  readonly #server: Server;
  url = '';

  constructor(answer: (response: ServerResponse, number: number) => void) {
    this.#server = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += String(part);
      this.deliveries.push({ headers: request.headers, body });
      answer(response, this.deliveries.length - 1);
    });
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const event = (id: string, kind: SecurityEvent['kind'] = 'spoof_attempt'): SecurityEvent => ({
  id,
  kind,
  severity: 'critical',
  process: 'relay',
  firstAt: Date.parse('2026-01-05T08:00:00Z'),
  lastAt: Date.parse('2026-01-05T08:00:00Z'),
  count: 1,
  address: '192.0.2.9',
  message: 'somebody “quoted” it',
});

describe('the webhook of security events', () => {
  const ends: Array<() => Promise<void>> = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  async function receiving(answer: (response: ServerResponse, number: number) => void): Promise<Receiver> {
    const receiver = await new Receiver(answer).open();
    ends.push(() => receiver.close());
    return receiver;
  }

  function sending(url: string, settings: object = {}) {
    const { webhook: config } = parseConfig({ watch: { webhook: { url, secret: SECRET, ...settings } } }).watch;
    assert.ok(config);
    const registry = new Registry();
    const lines: string[] = [];
    const log = createLogger('test', 'debug', { write: (line) => void lines.push(line) });
    const webhook = new Webhook(config, {
      process: 'relay',
      log,
      metrics: createWatchMetrics(registry),
      backOff: QUICK,
    });
    ends.push(() => webhook.close(0));
    const count = async (outcome: string) => {
      const metric = await registry.getSingleMetric('postern_security_webhook_deliveries_total')?.get();
      return metric?.values.find(({ labels }) => labels.outcome === outcome)?.value;
    };
    return { webhook, lines, count };
  }

  it('is signed so that the scheme’s own library accepts it, and nothing else', async () => {
    const receiver = await receiving((response) => response.end());
    const { webhook, count } = sending(receiver.url);
    webhook.tell(event('one'));
    await until('it is delivered', async () => (await count('delivered')) === 1);
    const [{ headers, body } = assert.fail('nothing came')] = receiver.deliveries;
    const verifier = new Verifier(SECRET);
    const verified = verifier.verify(body, headers as Record<string, string>) as { type: string; data: object };
    assert.equal(verified.type, 'security.spoof_attempt');
    assert.deepEqual(verified.data, event('one'));
    assert.equal(headers['content-type'], 'application/json');
    assert.throws(() => verifier.verify(body.replace('one', 'two'), headers as Record<string, string>));
    const other = new Verifier(`whsec_${Buffer.from('another secret of 32 bytes, yes!').toString('base64')}`);
    assert.throws(() => other.verify(body, headers as Record<string, string>));
  });

  it('is tried again with the same id where the receiver fails, and waits as long as it asks', async () => {
    const statuses = [500, 503, 429, 401, 200];
    const receiver = await receiving((response, number) =>
      response.writeHead(statuses[number] ?? 200, number === 2 ? { 'Retry-After': '0' } : {}).end(),
    );
    const { webhook, lines, count } = sending(receiver.url);
    webhook.tell(event('stubborn'));
    await until('it is delivered', async () => (await count('delivered')) === 1);
    assert.equal(receiver.deliveries.length, 5);
    assert.equal(await count('failed'), 4);
    const verifier = new Verifier(SECRET);
    for (const { headers, body } of receiver.deliveries) {
      verifier.verify(body, headers as Record<string, string>);
      assert.equal(headers['webhook-id'], 'stubborn');
    }
    assert.equal(lines.filter((line) => line.includes('fails; it is tried again')).length, 1);
    assert.equal(lines.filter((line) => line.includes('answered again')).length, 1);
    assert.doesNotMatch(lines.join(''), new RegExp(SECRET.slice(6, 20)));
  });

  it('goes nowhere else: a redirect is a failure', async () => {
    const elsewhere = await receiving((response) => response.end());
    const receiver = await receiving((response, number) =>
      number === 0 ? response.writeHead(307, { Location: elsewhere.url }).end() : response.end(),
    );
    const { webhook, count } = sending(receiver.url);
    webhook.tell(event('one'));
    await until('it is delivered', async () => (await count('delivered')) === 1);
    assert.equal(receiver.deliveries.length, 2);
    assert.equal(elsewhere.deliveries.length, 0);
  });

  it('does not wait for a receiver that never answers, and tells it the rest later', async () => {
    const receiver = await receiving((response, number) => {
      if (number > 0) response.end();
    });
    const { webhook, count } = sending(receiver.url, { timeout: '50ms' });
    webhook.tell(event('one'));
    webhook.tell(event('two'));
    await until('both are delivered', async () => (await count('delivered')) === 2);
    assert.deepEqual([...new Set(receiver.deliveries.map(({ headers }) => headers['webhook-id']))].sort(), [
      'one',
      'two',
    ]);
  });

  it('gives up after its time, at 410 at once, and tells that it did', async () => {
    const receiver = await receiving((response, number) => response.writeHead(number === 0 ? 410 : 500).end());
    const { webhook, lines, count } = sending(receiver.url, { deliveryTimeout: '100ms' });
    webhook.tell(event('gone'));
    await until('it is dropped', async () => (await count('dropped')) === 1);
    assert.equal(receiver.deliveries.length, 1);
    webhook.tell(event('hopeless'));
    await until('it is dropped', async () => (await count('dropped')) === 2);
    assert.ok(lines.some((line) => line.includes('"eventId":"hopeless"') && line.includes('was not delivered')));
  });

  it('holds a bounded number', async () => {
    const receiver = await receiving(() => {});
    const { webhook, count } = sending(receiver.url, { maxQueue: 3 });
    for (let one = 0; one < 10; one++) webhook.tell(event(`event ${one}`));
    assert.equal(await count('dropped'), 7);
  });

  it('tells of the kinds that are wanted only', async () => {
    const receiver = await receiving((response) => response.end());
    const { webhook, count } = sending(receiver.url, { kinds: ['old_api_key'] });
    webhook.tell(event('unwanted'));
    webhook.tell(event('wanted', 'old_api_key'));
    await until('it is delivered', async () => (await count('delivered')) === 1);
    await webhook.close(1_000);
    assert.deepEqual(
      receiver.deliveries.map(({ headers }) => headers['webhook-id']),
      ['wanted'],
    );
  });

  it('delivers what waits at the end, once, and ends in time where nobody listens', async () => {
    let fails = true;
    const receiver = await receiving((response) => response.writeHead(fails ? 500 : 200).end());
    const slow = { first: 3_600_000, most: 3_600_000 };
    const { watch: config } = parseConfig({ watch: { webhook: { url: receiver.url, secret: SECRET } } });
    assert.ok(config.webhook);
    const log = createLogger('test', 'silent');
    const metrics = createWatchMetrics(new Registry());
    const webhook = new Webhook(config.webhook, { process: 'relay', log, metrics, backOff: slow });
    for (const id of ['one', 'two']) webhook.tell(event(id));
    await until('both failed', () => receiver.deliveries.length === 2);
    fails = false;
    await webhook.close(10_000);
    assert.deepEqual(
      receiver.deliveries.slice(2).map(({ headers }) => headers['webhook-id']),
      ['one', 'two'],
    );
    webhook.tell(event('too late'));
    assert.equal((await metrics.waiting.get()).values[0]?.value, 0);

    const silent = await receiving(() => {});
    const stuck = sending(silent.url, { timeout: '1m' });
    stuck.webhook.tell(event('lost'));
    await until('it was begun', () => silent.deliveries.length === 1);
    await stuck.webhook.close(50);
    assert.equal(await stuck.count('dropped'), 1);
  });

  it('is told by the watch of new events, before the process ends', async () => {
    const receiver = await receiving((response) => response.end());
    const { watch } = await watching({ webhook: { url: receiver.url, secret: SECRET } });
    for (let one = 0; one < 3; one++) watch.observe({ kind: 'forgery', reason: 'unproven_peer', address: '192.0.2.9' });
    await watch.close(10_000);
    assert.equal(receiver.deliveries.length, 1);
    assert.match(receiver.deliveries[0]?.body ?? '', /"kind":"spoof_attempt"/);
  });

  it('pauses longer after each failure, up to a limit, and at random', () => {
    const often = { first: 1_000, most: 60_000 };
    assert.deepEqual(
      [1, 2, 3, 7, 50].map((failures) => pauseAfter(failures, often, 0)),
      [1_000, 2_000, 4_000, 60_000, 60_000],
    );
    assert.equal(pauseAfter(1, often, 1), 500);
    const now = Date.parse('2026-01-05T08:00:00Z');
    assert.equal(retryAfter('120', now), 120_000);
    assert.equal(retryAfter('Mon, 05 Jan 2026 08:00:30 GMT', now), 30_000);
    for (const none of [null, '', 'soon', '-5']) assert.equal(retryAfter(none, now) ?? 0, 0);
  });

  it('needs a secret that is one, and an address without a user', () => {
    for (const secret of [
      '',
      'secret',
      'whsec_',
      `whsec_${Buffer.alloc(23).toString('base64')}`,
      `whsec_${'A'.repeat(120)}`,
    ])
      assert.throws(
        () => parseConfig({ watch: { webhook: { url: 'https://soc.test/', secret } } }),
        /watch\.webhook\.secret: must be whsec_/,
        secret,
      );
    for (const url of ['soc.test', 'ftp://soc.test/', 'https://user:word@soc.test/'])
      assert.throws(() => parseConfig({ watch: { webhook: { url, secret: SECRET } } }), /watch\.webhook\.url/, url);
  });
});
