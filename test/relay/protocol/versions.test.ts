import assert from 'node:assert/strict';
import { LATEST_PROTOCOL_VERSION, SUPPORTED_PROTOCOL_VERSIONS } from '@modelcontextprotocol/sdk/types.js';
import { describe, it } from 'mocha';
import { eraOf, LEGACY_VERSIONS, negotiatedVersion } from '../../../src/relay/protocol/versions.ts';

describe('revisions of the protocol', () => {
  it('with sessions are those of the SDK that were published', () => {
    assert.deepEqual(
      [...LEGACY_VERSIONS],
      SUPPORTED_PROTOCOL_VERSIONS.filter((version) => version >= '2024-11-05'),
    );
    assert.equal(LEGACY_VERSIONS[0], LATEST_PROTOCOL_VERSION);
  });

  for (const version of LEGACY_VERSIONS)
    it(`${version} is agreed on where a client wants it`, () => {
      assert.equal(negotiatedVersion(version), version);
      assert.equal(eraOf(version), 'legacy');
    });

  for (const wanted of ['2026-07-28', '2024-10-07', '1.0', '', 7, undefined])
    it(`the newest one with sessions is offered for ${String(wanted)}`, () =>
      assert.equal(negotiatedVersion(wanted), '2025-11-25'));

  for (const version of ['2026-07-28', '2027-01-01'])
    it(`${version} is stateless`, () => assert.equal(eraOf(version), 'modern'));

  for (const version of ['', '1', '2026-7-28', ' 2026-07-28'])
    it(`"${version}" is none`, () => assert.equal(typeof eraOf(version), 'object'));
});
