import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { AddressList, addressBehind, isLoopback, parseRange } from '../../src/platform/addresses.ts';

describe('AddressList', () => {
  const list = new AddressList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1/128']);

  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8::1', '::1'])
    it(`has ${address}`, () => assert.equal(list.has(address), true));

  for (const address of ['11.0.0.1', '192.0.2.8', '::ffff:11.0.0.1', '2001:db9::1', '', 'nonsense', '10.0.0.0/8'])
    it(`has not "${address}"`, () => assert.equal(list.has(address), false));

  it('holds nobody where it is empty', () => assert.equal(new AddressList([]).has('127.0.0.1'), false));

  it('knows a peer by its socket, each time anew for another list', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    const loopback = new AddressList(['127.0.0.0/8']);
    assert.deepEqual([loopback.hasPeer(socket), loopback.hasPeer(socket)], [true, true]);
    assert.equal(list.hasPeer(socket), false);
    client.destroy();
    socket.destroy();
    server.close();
  });
});

describe('parseRange', () => {
  for (const text of ['', 'a', '10.0.0.0/33', '::/129', '10.0.0.0/', '010.0.0.1', '0x0a.0.0.1', '10.1', '10.0.0.0/8/8'])
    it(`refuses "${text}"`, () => assert.throws(() => parseRange(text)));
});

describe('isLoopback', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '::ffff:127.0.0.1'])
    it(`says yes to ${host}`, () => assert.equal(isLoopback(host), true));
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example.com', ''])
    it(`says no to "${host}"`, () => assert.equal(isLoopback(host), false));
});

describe('addressBehind', () => {
  const list = '203.0.113.66, 198.51.100.1 ,192.0.2.9';
  for (const [hops, address] of [
    [1, '192.0.2.9'],
    [2, '198.51.100.1'],
    [3, '203.0.113.66'],
    [4, '203.0.113.66'],
  ] as const)
    it(`takes ${address} behind ${hops} of our proxies`, () => assert.equal(addressBehind(list, hops), address));
  it('takes the only one there is', () => {
    for (const hops of [1, 2]) assert.equal(addressBehind(' 192.0.2.9', hops), '192.0.2.9');
    assert.equal(addressBehind('', 2), '');
  });
});
