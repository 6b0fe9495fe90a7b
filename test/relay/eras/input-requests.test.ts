import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { askClient } from '../../../src/relay/eras/legacy/input-requests.ts';
import type { SessionMemory } from '../../../src/relay/eras/legacy/session-memory.ts';
import type { Json } from '../../../src/relay/protocol/json-rpc.ts';

const CAPABILITIES = { elicitation: { form: {} }, sampling: {}, roots: {} };
const QUESTIONS = {
  sample: { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } },
  name: { method: 'elicitation/create', params: { message: 'who?' } },
  roots: { method: 'roots/list' },
};

/** Asks a client that answers each method in this way. */
function answersOf(
  answers: Readonly<Record<string, Json>>,
  questions: Json = QUESTIONS,
  refused = new Set<string>(),
): Promise<Json> {
  const sent: Json[] = [];
  const memory = {
    answerTo: async (_id: unknown, _size: number, _signal: unknown, ask: () => void) => {
      ask();
      return answers[String(sent.at(-1)?.method)] ?? { error: { code: -1, message: 'refused' } };
    },
  } as unknown as SessionMemory;
  const send = (message: Json) => void sent.push(message);
  const client = { capabilities: CAPABILITIES, memory, refused, send };
  return askClient(questions, client, new AbortController().signal);
}

describe('input requests of a server without sessions, put to a client of sessions', () => {
  const roots = { roots: [] };

  it('one that the client refuses is left out, and the others are answered', async () => {
    assert.deepEqual(await answersOf({ 'roots/list': { result: roots } }), { name: { action: 'cancel' }, roots });
  });

  it('an elicitation that the client refuses is cancelled', async () => {
    assert.deepEqual(await answersOf({}, { name: QUESTIONS.name }), { name: { action: 'cancel' } });
  });

  for (const question of ['sample', 'roots'] as const)
    it(`a client that refuses ${question} alone is not asked again, and its own code goes nowhere`, async () => {
      const refused = new Set<string>();
      const asked = { [question]: QUESTIONS[question] };
      assert.deepEqual(await answersOf({}, asked, refused), {});
      await assert.rejects(answersOf({}, asked, refused), { code: -32603, message: /has refused to answer/ });
      assert.deepEqual(await answersOf({}, { ...asked, name: QUESTIONS.name }, refused), {
        name: { action: 'cancel' },
      });
    });
});
