import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { main } from '../../src/cli/main.ts';
import type { Child } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { startPostern } from '../support/postern-process.ts';
import { rawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

const BODY = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add' } });

describe('postern relay reads its configuration again', function () {
  this.timeout(60_000);
  let folder: string;
  let file: string;
  let ports: [number, number, number];
  let relay: Child;
  let server: Server;

  const written = (relayKeys: object) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    const listen = { listen: `127.0.0.1:${ports[0]}`, internalListen: `127.0.0.1:${ports[1]}` };
    return stringify({
      publicUrl: 'https://mcp.example.com',
      auth: { internalListen: `127.0.0.1:${ports[2]}` },
      relay: { ...listen, servers: { one: { url } }, ...relayKeys },
    });
  };
  /** As a ConfigMap and a Secret in one folder are mounted. */
  const mount = (name: string, config: string, secret: string) => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'postern.yaml'), config);
    writeFileSync(join(folder, name, 'secret'), `${secret}\n`);
    symlinkSync(name, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  const status = async (secret: string) => {
    const headers = ['X-Authenticated-User', 'alice', 'X-Postern-Proxy-Secret', secret];
    const all = [...headers, 'Content-Type', 'application/json'];
    return (await rawRequest(ports[0], '/servers/one/mcp', { method: 'POST', headers: all, body: BODY })).status;
  };
  const check = async () => {
    const said: string[] = [];
    const terminal = {
      env: env(),
      print: (text: string) => said.push(text),
      printError: (text: string) => said.push(text),
    };
    assert.equal(await main(['check', '--config', file], terminal), 0);
    return said.join('\n');
  };
  const env = () => ({ POSTERN_RELAY_TRUST_SECRET_FILE: join(folder, 'secret') });

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-relay-reload-'));
    file = join(folder, 'postern.yaml');
    ports = (await freePorts(3)) as [number, number, number];
    server = createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(200, { 'Content-Type': 'application/json' }).end(BODY));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    mount('..one', written({}), 'the first secret');
    symlinkSync('..data/postern.yaml', file);
    symlinkSync('..data/secret', join(folder, 'secret'));
    relay = await startPostern('relay', file, ports[1], env());
  });
  after(async () => {
    await relay.stop();
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('with a secret that Kubernetes turns with its link', async () => {
    assert.equal(await status('the first secret'), 200);
    mount('..two', written({}), 'the second secret');
    await until('the second secret is taken', async () => (await status('the second secret')) === 200);
    assert.equal(await status('the first secret'), 401);
  });

  it('with a secret’s file alone', async () => {
    writeFileSync(join(folder, 'secret.new'), 'the third secret');
    renameSync(join(folder, 'secret.new'), join(folder, 'secret'));
    await until('the third secret is taken', async () => (await status('the third secret')) === 200);
  });

  it('at SIGHUP and where an editor renames, and `check` knows what the process has read', async () => {
    assert.doesNotMatch(await check(), /has read another/);
    const denied = written({ policy: { rules: [] } });
    writeFileSync(join(folder, 'new'), `${denied}wrong: true\n`);
    renameSync(join(folder, 'new'), file);
    await until('the wrong file is noticed', () => relay.output.includes('the one before goes on'));
    writeFileSync(join(folder, 'new'), denied);
    renameSync(join(folder, 'new'), file);
    relay.signal('SIGHUP');
    await until('the policy is enforced', async () => (await check()).includes('has read another') === false);
    assert.match(relay.output, /wrong: unknown key/);
    // Without the policy, and not cut short.
    writeFileSync(
      file,
      `${written({ limits: { maxHeaders: '128KiB' }, operatorToken: 'another token than before' })}...\n`,
    );
    relay.signal('SIGHUP');
    await until('the restart is asked for', async () => (await check()).includes('must be restarted'));
    assert.match(await check(), /the relay must be restarted for relay\.limits\.maxHeaders/);
  });

  it('`check` and `explain` name the parts that differ, and no secret', async () => {
    const other = join(folder, 'other.yaml');
    writeFileSync(
      other,
      written({ rateLimits: [{ by: 'user', limit: 1, per: '1m' }], operatorToken: 'a b c d e f g h' }),
    );
    for (const command of [['check'], ['explain', 'https://mcp.example.com/servers/one/mcp']]) {
      const said: string[] = [];
      const terminal = {
        env: env(),
        print: (text: string) => said.push(text),
        printError: (text: string) => said.push(text),
      };
      await main([...command, '--config', other], terminal);
      assert.match(said.join('\n'), /the relay, which runs here, has read another configuration .*relay\.rateLimits/s);
      // Of another file it may be another Postern, which nobody has to be warned of.
      assert.match(said.join('\n'), /^note: the relay, which runs here.*\(of another file, .*another Postern/m);
      assert.doesNotMatch(said.join('\n'), /^warning: the relay, which runs here/m);
      assert.match(said.join('\n'), /secrets/);
    }
    const { body } = await rawRequest(ports[1], '/configz');
    assert.doesNotMatch(body, /another token|third secret|mcp\.example\.com/);
  });
});
