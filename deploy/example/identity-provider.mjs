// The development identity provider of the image, alone: `node identity-provider.mjs PORT PUBLIC_URL`. It forgets everything
// at exit and keeps no one out.

import { pathToFileURL } from 'node:url';

const [port, publicUrl] = process.argv.slice(2);
if (!/^\d+$/.test(port ?? '') || !URL.canParse(publicUrl ?? '')) {
  process.stderr.write('usage: identity-provider.mjs PORT PUBLIC_URL\n');
  process.exit(2);
}
const home = pathToFileURL(`${process.env.IMAGE_HOME ?? '/app'}/`);
const { startDevelopmentIdp } = await import(new URL('dist/quickstart/development-idp.js', home).href);
const provider = await startDevelopmentIdp(Number(port), publicUrl);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void provider.close(1000));
