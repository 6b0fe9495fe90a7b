import assert from 'node:assert/strict';
import { FORWARD_AUTH_READERS } from './forward-auth-readers.ts';
import { growthOf, isLinear } from './growth.ts';
import { PLATFORM_READERS } from './platform-readers.ts';
import { RELAY_READERS } from './relay-readers.ts';

const TABLES = { relay: RELAY_READERS, 'forward-auth': FORWARD_AUTH_READERS, platform: PLATFORM_READERS };

describe('the time to read what a peer sends', function () {
  this.timeout(120_000);

  it('is measured so that more than linear growth is seen', async () => {
    const quadratic = (text: string) => /\/+$/.test(text);
    const isSeen = async () => !isLinear(await growthOf(quadratic, (size) => `${'/'.repeat(size)}x`));
    // A first reading that is disturbed hides it; five in turn are not.
    let seen = false;
    for (let turn = 0; turn < 5 && !seen; turn++) seen = await isSeen();
    assert.ok(seen);
    assert.equal(
      isLinear(
        await growthOf(
          (text) => JSON.parse(text),
          (size) => `"${'x'.repeat(size)}"`,
        ),
      ),
      true,
    );
  });

  for (const [place, readers] of Object.entries(TABLES))
    for (const { reader, inputs, read } of readers)
      for (const [input, make] of Object.entries(inputs))
        it(`grows as the text does: ${place}, ${reader}, ${input}`, async () => {
          const growth = await growthOf(read, make);
          assert.ok(isLinear(growth), `twice the text takes ${growth.toFixed(1)} times as long`);
        });
});
