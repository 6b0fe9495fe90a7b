import assert from 'node:assert/strict';
import { documentedFields, loggedFields } from './log-fields.ts';

/** Made by the logger itself. */
const ALWAYS = ['level', 'time', 'process', 'message', 'trace_id', 'span_id'];
/** Of objects that are made elsewhere than in the call. */
const SPREAD = [
  'kind',
  'severity',
  'clientName',
  'problems',
  'address',
  'subject',
  'resource',
  'grantType',
  'detail',
  'needs',
  'has',
];

describe('docs/logs.md', () => {
  const documented = documentedFields();
  const logged = loggedFields();

  it('finds what the sources log', () => {
    assert.ok(logged.get('forward-auth/check/check.ts')?.has('decision'));
    assert.ok(logged.get('relay/intake.ts')?.has('transport'));
    assert.ok(logged.get('forward-auth/mcp-authorization/broker/provider-events.ts')?.has('redirects'));
  });

  it('lists every field of every line', () => {
    const missing = [...logged].flatMap(([file, names]) =>
      [...names].filter((name) => !documented.has(name)).map((name) => `${name} (${file})`),
    );
    assert.deepEqual(missing, []);
    assert.deepEqual(
      ALWAYS.filter((name) => !documented.has(name)),
      [],
    );
  });

  it('lists no field that no line has', () => {
    const known = new Set([...ALWAYS, ...SPREAD, ...[...logged.values()].flatMap((names) => [...names])]);
    assert.deepEqual(
      [...documented].filter((name) => !known.has(name)),
      [],
    );
  });
});
