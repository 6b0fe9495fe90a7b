import assert from 'node:assert/strict';
import { parseConfig, readInput } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { proxyFor } from '../../../src/platform/outbound/proxies.ts';

type Environment = Record<string, string>;

const PROXY = { HTTPS_PROXY: 'http://proxy.test:3128', HTTP_PROXY: 'http://plain.test:8080' };

function proxyOf(address: string, env: Environment): string | undefined {
  const { protocol, hostname, port } = new URL(address);
  const known = Number(port || (/^(https|wss):/.test(protocol) ? 443 : 80));
  return proxyFor(protocol, hostname.replace(/^\[|\]$/g, ''), known, env)?.origin;
}

describe('the proxy that the environment names', () => {
  const rows: ReadonlyArray<[string, Environment, string | undefined]> = [
    ['https://idp.example.com/', PROXY, 'http://proxy.test:3128'],
    ['wss://mcp.example.com/', PROXY, 'http://proxy.test:3128'],
    ['http://mcp.example.com/', PROXY, 'http://plain.test:8080'],
    ['ws://mcp.example.com/', PROXY, 'http://plain.test:8080'],
    ['https://idp.example.com/', { HTTP_PROXY: 'http://plain.test:8080' }, undefined],
    [
      'https://idp.example.com/',
      { https_proxy: 'http://low.test:1', HTTPS_PROXY: 'http://up.test:2' },
      'http://low.test:1',
    ],
    ['https://idp.example.com/', { https_proxy: '', HTTPS_PROXY: 'http://up.test:2' }, undefined],
    ['https://idp.example.com/', { HTTPS_PROXY: 'proxy.test:3128' }, 'http://proxy.test:3128'],
    ['https://idp.example.com/', { HTTPS_PROXY: 'https://u:p@proxy.test' }, 'https://proxy.test'],
    // This machine.
    ...['localhost', '127.0.0.1', '127.8.8.8', '[::1]', 'app.localhost'].map(
      (host): [string, Environment, undefined] => [`http://${host}:8080/`, PROXY, undefined],
    ),
    // NO_PROXY: what is excepted …
    ...(
      [
        ['*', 'idp.example.com'],
        ['example.com', 'idp.example.com.'],
        ['example.com', 'example.com'],
        ['example.com', 'idp.example.com'],
        ['.example.com', 'idp.example.com'],
        ['*.example.com', 'idp.example.com'],
        ['EXAMPLE.com', 'idp.Example.COM'],
        ['a.test, example.com', 'idp.example.com'],
        ['a.test  example.com', 'idp.example.com'],
        ['example.com:443', 'idp.example.com'],
        ['10.0.0.0/8', '10.1.2.3'],
        ['10.1.2.3', '10.1.2.3'],
        ['10.1.2.3:443', '10.1.2.3'],
        ['fd00::/8', '[fd00::5]'],
        ['[fd00::5]:443', '[fd00::5]'],
        ['fd00::5', '[fd00::5]'],
        ['svc.cluster.local', 'mcp.tools.svc.cluster.local'],
      ] as const
    ).map(([list, host]): [string, Environment, undefined] => [
      `https://${host}/`,
      { ...PROXY, NO_PROXY: list },
      undefined,
    ]),
    // … and what is not.
    ...(
      [
        ['', 'idp.example.com'],
        ['ample.com', 'example.com'],
        ['example.com.test', 'example.com'],
        ['example.com:8443', 'idp.example.com'],
        ['10.0.0.0/8', '11.1.2.3'],
        ['10.0.0.0/8', 'ten.example.com'],
        ['fd00::/8', '[fe00::5]'],
        ['.', 'example.com'],
        [',,', 'example.com'],
        ['10.0.0.0/99', '10.1.2.3'],
      ] as const
    ).map(([list, host]): [string, Environment, string] => [
      `https://${host}/`,
      { ...PROXY, no_proxy: list },
      'http://proxy.test:3128',
    ]),
  ];
  for (const [address, env, proxy] of rows)
    it(`${address} with ${JSON.stringify(env)}: ${proxy ?? 'none'}`, () => assert.equal(proxyOf(address, env), proxy));

  for (const [login, sent] of [
    ['user:secret', 'user:secret'],
    ['user:p%40ss%3A', 'user:p@ss:'],
    ['user:100%', 'user:100%'],
    ['user', 'user:'],
    [':secret', ':secret'],
  ])
    it(`is shown the login ${login}`, () => {
      const proxy = proxyFor('https:', 'a.test', 443, { HTTPS_PROXY: `http://${login}@proxy.test:3128` });
      assert.equal(proxy?.authorization, `Basic ${Buffer.from(sent as string).toString('base64')}`);
      assert.ok(!proxy?.origin.includes('secret'));
    });

  for (const value of [
    'socks5://user:secret@proxy.test',
    'http://',
    'http://user:secret@proxy.test:99999',
    'ftp://x',
    '::',
  ])
    for (const name of ['HTTPS_PROXY', 'http_proxy'])
      it(`${name}=${value.replace('secret', '…')} is refused by its name, before anything starts`, () => {
        const read = () => parseConfig(readInput(undefined, { [name]: value }).input);
        assert.throws(read, (error: Error) => {
          assert.ok(error instanceof ConfigurationError);
          assert.match(error.message, new RegExp(`${name}: must be the address of a proxy`));
          assert.ok(!error.message.includes('secret'));
          return true;
        });
      });
});
