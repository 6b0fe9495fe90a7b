import assert from 'node:assert/strict';
import fc from 'fast-check';
import { framed, OneMessage } from '../../../src/platform/grpc/framing.ts';
import { CallFailure } from '../../../src/platform/grpc/status.ts';

const bytes = fc.uint8Array({ maxLength: 100 }).map((made) => Buffer.from(made));
const MAX = 100;

function read(pieces: readonly Buffer[]): Buffer {
  const message = new OneMessage(MAX);
  for (const piece of pieces) message.add(piece);
  return message.end();
}

/** Cuts at these places. */
function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (whole.length + 1)).sort((one, other) => one - other), whole.length];
  return at.slice(1).map((end, index) => whole.subarray(at[index], end));
}

describe('framing of gRPC', () => {
  const places = fc.array(fc.nat(1_000), { maxLength: 20 });

  it('reads what was written, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 3 }), places, (parts, cuts) => {
        const message = Buffer.concat(parts);
        fc.pre(message.length <= MAX);
        assert.deepEqual(read(cut(framed(parts), cuts)), message);
      }),
    );
  });

  it('reads nothing that is shorter or longer', () => {
    fc.assert(
      fc.property(bytes, bytes, places, fc.nat(1_000), (message, more, cuts, short) => {
        const whole = framed([message]);
        const shorter = whole.subarray(0, short % whole.length);
        assert.throws(() => read(cut(shorter, cuts)), CallFailure);
        if (more.length > 0) assert.throws(() => read(cut(Buffer.concat([whole, more]), cuts)), CallFailure);
      }),
    );
  });
});
