import assert from 'node:assert/strict';
import { main } from '../../src/cli/main.ts';
import {
  type BrokerGate,
  OPERATOR_TOKEN,
  openBrokerGate,
} from '../forward-auth/mcp-authorization/support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from '../forward-auth/mcp-authorization/support/mcp-client.ts';
import { RawClient } from '../forward-auth/mcp-authorization/support/raw-client.ts';

describe('postern clients and postern grants', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate();
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  async function run(...args: string[]) {
    let output = '';
    let errors = '';
    const code = await main(args, {
      env: {
        POSTERN_AUTH_INTERNAL_LISTEN: new URL(gate.internal).host,
        POSTERN_AUTH_OPERATOR_TOKEN: OPERATOR_TOKEN,
      },
      print: (text) => {
        output += `${text}\n`;
      },
      printError: (text) => {
        errors += `${text}\n`;
      },
    });
    return { code, output, errors };
  }

  it('list and end what a person granted, and remove the client', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { refresh_token: token } = await client.tokens();
    assert.match((await run('clients', 'list')).output, new RegExp(`"client":"${client.id}"`));
    const { output } = await run('grants', 'list', '--user', 'alice', '--client', client.id);
    const grant = JSON.parse(output) as { grant: string; scopes: string[] };
    assert.deepEqual(grant.scopes, ['mcp:use']);
    assert.equal((await run('grants', 'list', '--user', 'nobody')).errors, 'no grants\n');
    assert.equal((await run('grants', 'end', '--grant', grant.grant)).output, '1 grant ended\n');
    assert.equal((await client.refresh(token)).body.error, 'invalid_grant');
    await client.tokens();
    assert.equal((await run('clients', 'remove', client.id)).output, `${client.id} removed, 1 grant ended\n`);
    assert.match((await run('clients', 'remove', client.id)).errors, /no such client/);
    assert.match((await run('clients', 'remove', '-aB3xY_91kq')).errors, /no such client/);
    assert.match((await run('clients', '-aB3xY_91kq', 'remove')).errors, /no `clients -aB3xY_91kq`|no such client/);
    assert.match((await run('clients', 'remove', '-x')).errors, /unknown option -x/);
  });

  it('say what to give', async () => {
    for (const [args, said] of [
      [['grants', 'end'], /which grants/],
      [['grants', 'stop'], /no `grants stop`/],
      [['clients', 'remove'], /which client/],
      [['clients', 'list', 'x'], /takes no id/],
    ] as const) {
      const { code, errors } = await run(...args);
      assert.equal(code, 64);
      assert.match(errors, said);
    }
  });
});
