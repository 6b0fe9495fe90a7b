import assert from 'node:assert/strict';
import { AuditLog } from '../../../src/platform/audit/audit-log.ts';
import { linkOf } from '../../../src/platform/audit/hash-chain.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import type { AuditMetrics } from '../../../src/platform/metrics.ts';

describe('a line of the audit log', () => {
  for (const separator of ['\u2028', '\u2029', '\u0085', '\u202e'])
    it(`stays one line whatever a key holds: ${JSON.stringify(separator)}`, async () => {
      const lines: string[] = [];
      const { audit } = parseConfig({ audit: { chain: { enabled: true } } });
      const write = async (written: readonly string[]) => void lines.push(...written);
      const sink = { name: 'stdout', lastLine: undefined, write, close: async () => {} } as const;
      const metrics = { dropped: { inc: () => {} } } as unknown as AuditMetrics;
      const log = new AuditLog(audit, [sink], { process: 'relay', log: {} as never, now: Date.now, metrics });
      log.record({
        event: 'tool_call',
        outcome: 'relayed',
        arguments: { path: { [`a${separator}b`]: [{ [separator]: 1 }] } },
      });
      await log.close(1_000);
      assert.equal(lines.length, 1);
      assert.ok(!lines[0]?.includes(separator));
      assert.equal(linkOf(lines[0] as string)?.seq, 1);
    });
});
