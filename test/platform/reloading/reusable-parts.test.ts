import assert from 'node:assert/strict';
import { ReusableParts } from '../../../src/platform/reloading/reusable-parts.ts';

class Part {
  closed = 0;
  close(): void {
    this.closed += 1;
  }
}

describe('parts that outlive a configuration', () => {
  const open = () => new Part();

  it('go on where their settings are the same', () => {
    const first = new ReusableParts();
    const part = first.keep('a', { x: [1] }, open);
    const second = new ReusableParts(first);
    assert.equal(second.keep('a', { x: [1] }, open), part);
    first.closeAllBut(second);
    assert.equal(part.closed, 0);
    second.closeAllBut();
    assert.equal(part.closed, 1);
  });

  it('are made anew where a setting differs, and the old one is closed', () => {
    const first = new ReusableParts();
    const part = first.keep('a', { x: [1] }, open);
    const second = new ReusableParts(first);
    assert.notEqual(second.keep('a', { x: [2] }, open), part);
    assert.equal(part.closed, 0, 'requests still use it until the next configuration is complete');
    first.closeAllBut(second);
    assert.equal(part.closed, 1);
  });

  it('are closed where the next configuration has none of them', () => {
    const first = new ReusableParts();
    const part = first.keep('a', 1, open);
    first.closeAllBut(new ReusableParts(first));
    assert.equal(part.closed, 1);
  });

  it('survive a next configuration that cannot be made', () => {
    const first = new ReusableParts();
    const part = first.keep('a', 1, open);
    const second = new ReusableParts(first);
    second.keep('a', 1, open);
    const other = second.keep('b', 1, open);
    second.closeAllBut(first);
    assert.deepEqual([part.closed, other.closed], [0, 1]);
  });

  it('need no close', () => {
    const first = new ReusableParts();
    first.keep('a', 1, () => ({ close: 'a text' }));
    first.closeAllBut();
  });
});
