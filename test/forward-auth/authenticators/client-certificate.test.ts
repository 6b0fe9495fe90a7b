import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { commonNamesOf } from '../../../src/forward-auth/authenticators/certificate-names.ts';
import { ClientCertificateAuthenticator } from '../../../src/forward-auth/authenticators/client-certificate.ts';
import { parseXfcc, XfccProblem } from '../../../src/forward-auth/authenticators/xfcc.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { imagineRequest } from '../support/imagined.ts';

const XFCC = 'x-forwarded-client-cert';

function certificate(san: string, subject = '/O=Test/CN=alice'): X509Certificate {
  const pem = execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'],
      ...['-days', '2', '-subj', subject, '-addext', `subjectAltName=${san}`],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return new X509Certificate(pem);
}

function ask(settings: object, values: readonly string[], now = Date.now()) {
  const { auth } = parseConfig({ auth: { clientCertificates: { header: XFCC, ...settings } } });
  const name = auth.clientCertificates.header;
  const headers = values.flatMap((value) => [name, value]);
  const answer = new ClientCertificateAuthenticator(auth, () => now).authenticate(imagineRequest('/x', { headers }));
  return answer.kind === 'identity'
    ? answer.identity.subject
    : answer.kind === 'rejected'
      ? answer.reason
      : answer.kind;
}

describe('client certificates in X-Forwarded-Client-Cert', () => {
  it('give the one name of the configured kind', () => {
    const full = 'By=spiffe://a/gate;Hash=ab;Subject="CN=alice,O=\\"A, B; C\\"";URI=spiffe://a/alice;DNS=alice.example';
    assert.equal(ask({}, [full]), 'spiffe://a/alice');
    assert.equal(ask({ subject: 'dns' }, [full]), 'alice.example');
    assert.equal(ask({ subject: 'common-name' }, ['Subject="CN=alice,O=A"']), 'alice');
    assert.equal(ask({}, ['URI="spiffe://a/x,y;URI=z"']), 'spiffe://a/x,y;URI=z');
    assert.equal(ask({}, []), 'absent');
    assert.equal(ask({ header: 'none' }, []), 'absent');
  });

  it('are refused without such a name, with several, and outside the allowed ones', () => {
    for (const value of ['Hash=ab', 'URI=', 'URI=a;URI=b', 'URI=a\u0000b'])
      assert.equal(ask({}, [value]), 'client_certificate', value);
    assert.equal(ask({ subject: 'common-name' }, ['Subject="CN=alice,CN=bob"']), 'client_certificate');
    const allowedNames = ['spiffe://a/*'];
    assert.equal(ask({ allowedNames }, ['URI=spiffe://a/x']), 'spiffe://a/x');
    assert.equal(ask({ allowedNames }, ['URI=spiffe://ab/x']), 'client_certificate');
  });

  it('are refused when anybody but the proxy may have written a part', () => {
    for (const values of [
      ['URI=admin,URI=alice'],
      ['URI=admin,By=x;URI=alice'],
      ['URI=admin', 'URI=alice'],
      ['Hash=a;Hash=b;URI=alice'],
      ['URI=alice;'],
      ['URI=alice,'],
      ['URI="alice'],
      ['URI="alice"x'],
      ['URI=al"ice'],
      ['URI=a=b'],
      ['Evil=1;URI=alice'],
      ['alice'],
      [''],
      ['URI=alice;Cert="nonsense"'],
      ['URI=alice;Cert="%"'],
    ])
      assert.equal(ask({}, values), 'certificate_untrusted', values.join(' | '));
  });

  it('are checked against the certificate where it is there', () => {
    const real = certificate('URI:spiffe://a/alice,DNS:alice.example,email:alice@example.com');
    const cert = `Cert="${encodeURIComponent(real.toString())}"`;
    const hash = real.fingerprint256.replaceAll(':', '').toLowerCase();
    assert.equal(ask({}, [`Hash=${hash};${cert};URI=spiffe://a/alice`]), 'spiffe://a/alice');
    assert.equal(ask({ subject: 'email' }, [cert]), 'alice@example.com');
    assert.equal(ask({ subject: 'common-name' }, [cert]), 'alice');
    assert.equal(ask({}, [`${cert};URI=spiffe://a/admin`]), 'certificate_untrusted');
    assert.equal(ask({}, [`Hash=00;${cert}`]), 'certificate_untrusted');
    assert.equal(ask({}, [cert], Date.now() + 3 * 86_400_000), 'client_certificate');
  });

  it('are parsed without a throw, and a value never becomes another element’s', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[URIDNSBy=;,"\\ab]{0,40}$/)), (text) => {
        ask({}, [text]);
        commonNamesOf(text);
      }),
    );
    const value = fc.string({ maxLength: 20 }).filter((text) => !text.endsWith('\\') && !/\\"/.test(text));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (names) => {
        const header = names.map((name) => `Hash=1;URI="${name.replaceAll('"', '\\"')}"`).join(',');
        const parsed = parseXfcc(header);
        assert.ok(!(parsed instanceof XfccProblem));
        assert.deepEqual(
          parsed.map((element) => element.get('uri')),
          names.map((name) => [name]),
        );
        const subject = ask({}, [header]);
        assert.ok(names.length > 1 ? subject === 'certificate_untrusted' : true);
      }),
    );
  });
});

describe('client certificates in Client-Cert (RFC 9440)', () => {
  const settings = (subject: string) => ({ header: 'client-cert', subject });
  const field = (der: Buffer) => `:${der.toString('base64')}:`;

  it('give the one name of the configured kind', () => {
    const { raw } = certificate('URI:spiffe://a/alice,DNS:alice.example,email:alice@example.com');
    const named = ['uri', 'dns', 'email', 'common-name'].map((kind) => ask(settings(kind), [field(raw)]));
    assert.deepEqual(named, ['spiffe://a/alice', 'alice.example', 'alice@example.com', 'alice']);
  });

  it('are refused when broken, doubled, old, or with two names', () => {
    const { raw } = certificate('URI:spiffe://a/alice,URI:spiffe://a/admin');
    assert.equal(ask(settings('uri'), [field(raw)]), 'client_certificate');
    for (const values of [
      [field(raw), field(raw)],
      [`${field(raw)}, ${field(raw)}`],
      [raw.toString('base64')],
      [field(Buffer.concat([raw, Buffer.from('x')]))],
      [field(raw.subarray(0, -1))],
      ['::'],
    ])
      assert.equal(ask(settings('common-name'), values), 'certificate_untrusted');
    assert.equal(ask(settings('common-name'), [field(raw)], Date.now() - 86_400_000), 'client_certificate');
  });

  it('keep a name whole that looks like two', () => {
    const { raw } = certificate('URI:spiffe://a/alice', '/CN=alice\\, CN=admin');
    assert.equal(ask(settings('common-name'), [field(raw)]), 'alice, CN=admin');
  });
});
