import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * Ports of the loopback address that were free a moment ago, all different. Programs that cannot say which port they
 * took need one beforehand.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
