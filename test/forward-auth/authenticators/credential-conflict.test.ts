import assert from 'node:assert/strict';
import { refuseConflicts } from '../../../src/forward-auth/authenticators/credential-conflict.ts';
import { ABSENT } from '../../../src/forward-auth/decision/authentication.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { imagineAsked } from '../support/imagined.ts';

describe('a sole credential', () => {
  const { auth } = parseConfig({
    auth: { apiKeys: { enabled: true }, clientCertificates: { header: 'x-forwarded-client-cert' } },
  });
  const sent = {
    'a bearer token': ['Authorization', 'Bearer x'],
    'an API key in X-API-Key': ['x-api-key', 'pst_x'],
    'a client certificate': ['X-Forwarded-Client-Cert', 'URI=x'],
    'a session cookie': ['Cookie', '__Host-postern=x'],
  };
  let asked = 0;
  const authenticate = refuseConflicts(
    auth,
    () => {
      asked += 1;
      return ABSENT;
    },
    ({ headers }) => headers.get('cookie') !== undefined,
  );

  for (const [first, one] of Object.entries(sent))
    for (const [second, other] of Object.entries(sent)) {
      if (first >= second) continue;
      it(`is not ${first} and ${second}`, async () => {
        asked = 0;
        const answer = await authenticate(...imagineAsked('/x', { headers: [...one, ...other] }));
        assert.ok(answer.kind === 'rejected' && answer.status === 400 && answer.reason === 'credential_conflict');
        assert.ok(answer.description.includes(first) && answer.description.includes(second));
        assert.equal(asked, 0);
      });
    }

  it('goes on, alone or beside a scheme that is not ours', async () => {
    asked = 0;
    for (const headers of [[], ...Object.values(sent), ['Authorization', 'Basic eDp5', 'X-API-Key', 'pst_x']])
      assert.equal((await authenticate(...imagineAsked('/x', { headers }))).kind, 'absent');
    assert.equal(asked, 6);
  });

  it('is counted only in the ways that are configured', async () => {
    const plain = refuseConflicts(parseConfig({}).auth, () => ABSENT);
    const headers = Object.values(sent).flat();
    assert.equal((await plain(...imagineAsked('/x', { headers }))).kind, 'absent');
  });
});
