import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { EventParser, type StreamEvent } from '../../../src/relay/protocol/event-parser.ts';

function parse(pieces: readonly Buffer[], limit = 1000) {
  const events: StreamEvent[] = [];
  const parser = new EventParser(limit, (event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  return { parser, events };
}

/** Every way to cut the text in two, and byte by byte. */
function cuts(text: string): Buffer[][] {
  const bytes = Buffer.from(text);
  const two = Array.from({ length: bytes.length }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [...two, Array.from(bytes, (byte) => Buffer.from([byte]))];
}

describe('the reader of event streams', () => {
  it('finds the same events wherever the pieces end, with each line ending', () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const text = [
        '\ufeff: a comment',
        'id: 1',
        'event: message',
        'data: {"a":',
        'data:"ü🐘"}',
        'unknown: x',
        'retry: 250',
        '',
        'id: 2',
        'data',
        '',
        ':',
        'data:  two spaces',
        '',
        '',
      ].join(end);
      for (const pieces of cuts(text)) {
        const { events, parser } = parse([...pieces, Buffer.from(end)]);
        assert.deepEqual(events, [
          { type: 'message', data: '{"a":\n"ü🐘"}' },
          { type: '', data: ' two spaces' },
        ]);
        assert.deepEqual([parser.lastEventId, parser.retry], ['2', 250]);
      }
    }
  });

  it('forgets what was not ended by an empty line, and ids and times that are none', () => {
    const { events, parser } = parse([Buffer.from('id: a\0b\nretry: 1e3\ndata: x\n\nid: 9\ndata: lost\n')]);
    assert.deepEqual(events, [{ type: '', data: 'x' }]);
    assert.deepEqual([parser.lastEventId, parser.retry], [undefined, undefined]);
  });

  it('refuses an event over the limit, whole or in pieces, in one line or many, and takes many small ones', () => {
    const piece = Buffer.from('x'.repeat(300));
    assert.throws(() => parse([Buffer.from(`data: ${'x'.repeat(1001)}\n\n`)]), RangeError);
    assert.throws(() => parse([piece, piece, piece, piece]), RangeError);
    assert.throws(() => parse(Array.from({ length: 5 }, () => Buffer.from(`data: ${piece}\n`))), RangeError);
    const many = Array.from({ length: 100 }, () => Buffer.from(`: ${'c'.repeat(500)}\ndata: ${'x'.repeat(300)}\n\n`));
    assert.equal(parse(many).events.length, 100);
  });
});
