// The development identity provider of the image, alone: `node identity-provider.mjs PORT PUBLIC_URL [HOST]`. It forgets
// everything at exit and keeps no one out. It listens on loopback unless it is told another address, as in a container of its own.

import { pathToFileURL } from 'node:url';

const [port, publicUrl, host] = process.argv.slice(2);
if (!/^\d+$/.test(port ?? '') || !URL.canParse(publicUrl ?? '')) {
  process.stderr.write('usage: identity-provider.mjs PORT PUBLIC_URL [HOST]\n');
  process.exit(2);
}
const home = pathToFileURL(`${process.env.IMAGE_HOME ?? '/app'}/`);
const { startDevelopmentIdp } = await import(new URL('dist/quickstart/development-idp.js', home).href);
const provider = await startDevelopmentIdp(Number(port), publicUrl, host);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void provider.close(1000));
