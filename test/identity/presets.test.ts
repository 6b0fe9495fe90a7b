import assert from 'node:assert/strict';
import { validateHeaderValue } from 'node:http';
import fc from 'fast-check';
import { classifyHeader, foldHeaderName, IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { PRESET_HEADERS, PresetHeaders, type PresetName } from '../../src/identity/presets.ts';
import { EMITTED_PRESETS } from '../../src/platform/config/auth-schema.ts';

const ALICE: Identity = {
  ...ANONYMOUS,
  subject: 'alice',
  email: 'alice@example.com',
  name: 'Alice A.',
  groups: ['engineering', 'staff'],
  method: 'session',
};
const ALL = [...EMITTED_PRESETS];
const DELIMITERS = [',', ';', '|', ' '] as const;

const pairs = (flat: readonly string[]) =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]] as [string, string]);
const record = (flat: readonly string[]) => Object.fromEntries(pairs(flat));

describe('presets that are emitted', () => {
  it('are exactly those that the configuration knows', () => {
    assert.deepEqual(Object.keys(PRESET_HEADERS).sort(), [...EMITTED_PRESETS].sort());
  });

  const literal: Record<PresetName, Record<string, string>> = {
    'oauth2-proxy': {
      'X-Auth-Request-User': 'alice',
      'X-Auth-Request-Email': 'alice@example.com',
      'X-Auth-Request-Preferred-Username': 'alice',
      'X-Auth-Request-Groups': 'engineering,staff',
      'X-Forwarded-User': 'alice',
      'X-Forwarded-Email': 'alice@example.com',
      'X-Forwarded-Preferred-Username': 'alice',
      'X-Forwarded-Groups': 'engineering,staff',
    },
    authelia: {
      'Remote-User': 'alice',
      'Remote-Email': 'alice@example.com',
      'Remote-Name': 'Alice A.',
      'Remote-Groups': 'engineering,staff',
    },
    'x-forwarded-user': { 'X-Forwarded-User': 'alice', 'X-Forwarded-Email': 'alice@example.com' },
    grafana: {
      'X-WEBAUTH-USER': 'alice',
      'X-WEBAUTH-EMAIL': 'alice@example.com',
      'X-WEBAUTH-NAME': 'Alice A.',
      'X-WEBAUTH-GROUPS': 'engineering,staff',
    },
  };
  for (const preset of ALL)
    it(`${preset} writes these names and nothing else`, () => {
      assert.deepEqual(record(new PresetHeaders([preset]).write(ALICE, [preset])), literal[preset]);
    });

  it('writes each name once where presets share it, and with a value where one of them is wanted', () => {
    const both = new PresetHeaders(['oauth2-proxy', 'x-forwarded-user', 'authelia']);
    const written = pairs(both.write(ALICE, ['x-forwarded-user']));
    const names = written.map(([name]) => name.toLowerCase());
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(
      written.filter(([, value]) => value !== ''),
      [
        ['X-Forwarded-User', 'alice'],
        ['X-Forwarded-Email', 'alice@example.com'],
      ],
    );
    assert.equal(written.length, 12);
  });

  it('writes every name empty for a rule that emits nothing, and for nobody', () => {
    const all = new PresetHeaders(ALL);
    for (const flat of [all.write(ALICE), all.write(ALICE, []), all.write(ANONYMOUS, ALL)])
      assert.deepEqual(
        pairs(flat).map(([name, value]) => [name, value]),
        all.names.map((name) => [name, '']),
      );
    assert.deepEqual(new PresetHeaders([]).write(ALICE), []);
  });

  it('writes only names that are removed from a request, and none of our own', () => {
    const own = new Set(IDENTITY_HEADER_NAMES.map(foldHeaderName));
    for (const name of new PresetHeaders(ALL).names) {
      assert.equal(classifyHeader(name), 'foreign', name);
      assert.equal(classifyHeader(name.replaceAll('-', '_')), 'foreign', name);
      assert.ok(!own.has(foldHeaderName(name)));
    }
  });

  it('lets no group become two, whatever the delimiter', () => {
    for (const delimiter of DELIMITERS) {
      const { 'Remote-Groups': groups = '' } = record(
        new PresetHeaders(['authelia'], delimiter).write({ ...ALICE, groups: [`a${delimiter}admins`, 'b'] }, [
          'authelia',
        ]),
      );
      assert.deepEqual(groups.split(delimiter), [`a${encodeURIComponent(delimiter)}admins`, 'b']);
    }
  });

  it('lets Grafana, which splits at spaces and reads JSON lists, see no group that is none', () => {
    const groups = ['site admins', '["admins"]', 'a,admins'];
    const written = record(new PresetHeaders(['grafana'], ';').write({ ...ALICE, groups }, ['grafana']));
    assert.equal(written['X-WEBAUTH-GROUPS'], 'site%20admins,%5B%22admins%22%5D,a%2Cadmins');
  });
});

describe('presets that are emitted, for any identity', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom('\r', '\n', '\0', '%', ',', ';', '|', ' ', '"', '[', 'ä', '\ud800', '\u{1f600}'),
    }),
  );
  const identity: fc.Arbitrary<Identity> = fc.record({
    subject: text,
    email: text,
    name: text,
    groups: fc.array(text),
    scopes: fc.constant([]),
    method: fc.constant('session' as const),
    issuer: fc.constant('https://idp.example'),
  });
  const presets = fc.subarray(ALL);
  const wellFormed = (value: string) => value.replace(/\p{Surrogate}/gu, '\ufffd');

  it('have values of printable ASCII without spaces around, and names that depend on the configuration alone', () => {
    fc.assert(
      fc.property(identity, presets, presets, fc.constantFrom(...DELIMITERS), (who, emitted, wanted, delimiter) => {
        const headers = new PresetHeaders(emitted, delimiter);
        const written = pairs(headers.write(who, wanted));
        assert.deepEqual(
          written.map(([name]) => name),
          headers.names,
        );
        for (const [name, value] of written) {
          assert.match(value, /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/);
          validateHeaderValue(name, value);
        }
      }),
    );
  });

  it('can be read back: nothing is lost and no group joined or split', () => {
    fc.assert(
      fc.property(identity, fc.constantFrom(...ALL), fc.constantFrom(...DELIMITERS), (who, preset, delimiter) => {
        const fields = PRESET_HEADERS[preset] as ReadonlyArray<readonly [string, string]>;
        const written = record(new PresetHeaders([preset], delimiter).write(who, [preset]));
        for (const [name, field] of fields) {
          const value = written[name] as string;
          if (field === 'groups') {
            const split = value.split(preset === 'grafana' ? ',' : delimiter).filter((part) => part !== '');
            assert.deepEqual(split.map(decodeURIComponent), who.groups.filter(Boolean).map(wellFormed));
          } else {
            const meant = field === 'user' ? who.subject : field === 'email' ? who.email : who.name;
            assert.equal(decodeURIComponent(value), wellFormed(meant));
          }
        }
      }),
    );
  });
});
