// Who Grafana thinks is there, asked through Traefik as a person and as an attacker would.

import { Person, send } from '../check/person.mjs';

const EDGE = 'http://127.0.0.1:8080';
const WHO = `${EDGE}/grafana/api/user`;
/** A name as Grafana is told it by Postern, and as its documentation calls it. */
const FORGED = {
  'X-Authenticated-User': 'root',
  'X-Authenticated-Groups': 'admins',
  'X-WEBAUTH-USER': 'root',
};

let failed = 0;

async function step(what, look) {
  try {
    await look();
    process.stdout.write(`ok    ${what}\n`);
  } catch (error) {
    failed++;
    process.stdout.write(`FAIL  ${what}\n      ${error.message || error.code}\n`);
  }
}

/** Cookie of a person who signed in at Postern. */
async function signIn(name) {
  const person = new Person(name, name);
  const start = new URL('/_postern/sign-in', EDGE);
  start.searchParams.set('rd', '/grafana/');
  await person.go(start, `${EDGE}/grafana/`);
  return { Cookie: person.cookie(new URL(EDGE).hostname) };
}

async function refused(headers, statuses) {
  const { status } = await send(WHO, { headers });
  if (!statuses.includes(status)) throw new Error(`${status}, expected ${statuses.join(' or ')}`);
}

/** @throws where Grafana does not say that it is this person */
async function isSeenAs(login, headers) {
  const answer = await send(WHO, { headers });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text.slice(0, 300)}`);
  const user = JSON.parse(answer.text);
  if (user.login !== login) throw new Error(`Grafana takes them for ${user.login}, not ${login}`);
}

await step('no one sees Grafana without a session', () => refused({}, [401]));
for (const [name, value] of Object.entries(FORGED))
  await step(`nor with ${name} written by hand`, () => refused({ [name]: value }, [400, 401, 403]));
await step('alice signs in at Postern, and Grafana knows who she is', async () => {
  const alice = await signIn('alice');
  await isSeenAs('alice', alice);
  for (const [name, value] of Object.entries(FORGED)) {
    const answer = await send(WHO, { headers: { ...alice, [name]: value } });
    // Refused, or without effect; never the other name.
    if (answer.status === 200 && JSON.parse(answer.text).login !== 'alice') throw new Error(`${name} made her another`);
  }
});
await step('carol, who is not in the group, is refused', async () => refused(await signIn('carol'), [403]));

process.stdout.write(failed === 0 ? 'Grafana is well\n' : `${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
