import assert from 'node:assert/strict';
import { problemsOf } from './problems-of.ts';

const provider = { id: 'corp', issuer: 'https://idp.example.com' };
const server = (more: object) => ({ relay: { servers: { a: { url: 'http://a.example.com', ...more } } } });

describe('what is said of a value that cannot be', () => {
  for (const [what, input, expected] of [
    ['empty text', { auth: { pages: { name: '' } } }, 'auth.pages.name: must not be empty'],
    ['long text', { auth: { pages: { name: 'x'.repeat(61) } } }, 'auth.pages.name: must have at most 60 characters'],
    ['empty list', { auth: { providers: [{ ...provider, types: [] }] } }, 'auth.providers[0].types: must not be empty'],
    ['small number', { relay: { trust: { hops: 0 } } }, 'relay.trust.hops: must be at least 1'],
    ['large number', { audit: { sampleAllows: 2 } }, 'audit.sampleAllows: must be at most 1'],
    ['word', { log: { level: 'loud' } }, /^log\.level: must be one of .*info.*$/],
    ['word in a list', { userNames: ['shoe'] }, 'userNames[0]: must be one of username, email, name'],
    [
      'beginning',
      { auth: { rules: [{ match: { path: 'x' }, allow: 'anyone-signed-in' }] } },
      'auth.rules[0].match.path: must start with /',
    ],
    ['type', { auth: { rules: {} } }, 'auth.rules: must be a list, not a map of keys'],
    ['fraction', { relay: { trust: { hops: 1.5 } } }, 'relay.trust.hops: must be a whole number, not a number'],
    [
      'name in a map',
      { relay: { servers: { 'A B': { url: 'http://a' } } } },
      /^relay\.servers\.A B: .*lower-case letters, digits and hyphens/,
    ],
    [
      'number as a duration',
      { auth: { sessions: { idleTimeout: 30 } } },
      /^auth\.sessions\.idleTimeout: must be a duration such as/,
    ],
    ['port as an address', { auth: { listen: 4180 } }, /^auth\.listen: must be HOST:PORT/],
    [
      'document as an issuer',
      { auth: { providers: [{ ...provider, issuer: `${provider.issuer}/.well-known/openid-configuration` }] } },
      /^auth\.providers\[0\]\.issuer: must be the issuer: .*without/,
    ],
    [
      'union',
      server({ credential: { bearer: 7 } }),
      /^relay\.servers\.a\.credential\.bearer: must be the secret as a text/,
    ],
  ] as const)
    it(`is in plain words: ${what}`, () => {
      const [first = ''] = problemsOf(input);
      if (typeof expected === 'string') assert.equal(first, expected);
      else assert.match(first, expected);
      assert.doesNotMatch(problemsOf(input).join(), /expected string|Invalid |Too (?:small|big)|received/);
    });

  for (const [what, input, expected] of [
    [
      'a credential',
      server({ credential: { clientCredentials: { nonsensical: 1 } } }),
      /possible here: issuer, clientId, clientSecret, clientSecretPath, authentication, scopes, sendResource$/,
    ],
    [
      'an account',
      server({ credential: { connection: { unthinkable: 1 } } }),
      /possible here: name, issuer, clientId, clientSecret/,
    ],
    ['a secret', server({ credential: { bearer: { nonsensical: 1 } } }), /possible here: value, env, path$/],
    ['a server', server({ nonsensical: 1 }), /possible here: title, url, transport/],
    [
      'a rule',
      { auth: { rules: [{ nonsensical: 1, match: {}, allow: 'anyone-signed-in' }] } },
      /possible here: match, public/,
    ],
    [
      'who is allowed',
      { auth: { rules: [{ match: {}, allow: { nonsensical: ['a'] } }] } },
      /possible here: users, groups, providers$/,
    ],
    ['a section', { auth: { broker: { unthinkable: 1 } } }, /possible here: providers, defaultResource/],
    ['the file', { nonsensical: 1 }, /possible here: publicUrl, log, userNames/],
  ] as const)
    it(`lists what is possible in ${what}`, () => {
      const found = problemsOf(input).filter((problem) => problem.includes('unknown key'));
      assert.equal(found.length, 1, problemsOf(input).join('\n'));
      assert.match(found[0] as string, expected);
    });

  it('names the nearest key of that place', () => {
    const [found] = problemsOf(server({ credential: { clientCredentials: { ...provider, clientld: 'x' } } })).filter(
      (text) => text.includes('clientld'),
    );
    assert.match(found as string, /did you mean `clientId`\?/);
  });
});
