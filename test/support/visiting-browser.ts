import { authorizeAs } from '../forward-auth/mcp-authorization/support/broker-gate.ts';
import { HttpPerson } from './http-person.ts';
import { listening } from './listening.ts';

/**
 * A browser for programs that open one: signs in and consents as a person would, goes where it is led, which is the
 * program's own page at the end, and prints that.
 */
const url = process.argv.at(-1) ?? '';
const redirect = URL.canParse(url) ? new URL(url).searchParams.get('redirect_uri') : null;
if (redirect !== null) {
  await listening(new URL(redirect));
  const { url: end } = await authorizeAs(new HttpPerson(), url);
  process.stdout.write(`${end.href}\n`);
}
