import { randomUUID } from 'node:crypto';
import { isRecord } from '../../../platform/is-record.ts';
import { CLIENT_ABILITIES, refusedResult } from '../../protocol/capabilities.ts';
import { INTERNAL_ERROR, MISSING_CAPABILITY } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import { writeJson } from '../../protocol/json.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { weightOfMessage } from '../../protocol/json-weight.ts';
import type { SessionMemory } from './session-memory.ts';

/** Questions of one round. */
const MAX_QUESTIONS = 16;

/** The client that is asked, as far as it matters here. */
export interface InputRequestContext {
  readonly capabilities: Json;
  readonly memory: SessionMemory;
  /** What the client has refused during this call, as JSON. */
  readonly refused: Set<string>;
  /** Sends on the stream of the request that is under way. */
  send(message: Json): void;
}

/**
 * Puts what a server asks by a result to a client of sessions, as requests on the stream of its own request. What the client
 * refuses has no answer, and the server decides what to do without it (2026-07-28, basic/patterns/mrtr); it is not put again.
 *
 * @returns the answers, as the server wants them back
 * @throws ServerError if the client cannot be asked that, or has refused all of it before
 */
export async function askClient(questions: Json, client: InputRequestContext, signal: AbortSignal): Promise<Json> {
  const asked = Object.entries(questions);
  if (asked.length > MAX_QUESTIONS)
    throw new ServerError(INTERNAL_ERROR, 'the MCP server asks too many things at once');
  for (const [, question] of asked) mustBeAble(question, client.capabilities);
  const open = asked.filter(([, question]) => !client.refused.has(writeJson(question)));
  if (open.length === 0 && asked.length > 0)
    throw new ServerError(INTERNAL_ERROR, 'the client has refused to answer what the MCP server must know');
  const answers: Record<string, Json> = {};
  await Promise.all(
    open.map(async ([key, question]) => {
      const answer = await ask(question as Json, client, signal);
      if (answer === undefined) client.refused.add(writeJson(question));
      else answers[key] = answer;
    }),
  );
  return answers;
}

function mustBeAble(question: unknown, capabilities: Json): asserts question is Json {
  const method = isRecord(question) ? question.method : undefined;
  const ability = CLIENT_ABILITIES.get(method);
  if (ability === undefined)
    throw new ServerError(INTERNAL_ERROR, 'the MCP server asks something that the protocol does not know');
  const declared = capabilities[ability];
  const params = isRecord(question) && isRecord(question.params) ? question.params : {};
  const byUrl = params.mode === 'url';
  if (isRecord(declared) && (!byUrl || isRecord(declared.url))) return;
  const required = { [ability]: byUrl ? { url: {} } : {} };
  throw new ServerError(
    MISSING_CAPABILITY,
    `the MCP server asks for ${byUrl ? 'elicitation by URL' : ability}, which this client has not declared`,
    { requiredCapabilities: required },
  );
}

async function ask(
  { method, params }: Json,
  { memory, send }: Pick<InputRequestContext, 'memory' | 'send'>,
  signal: AbortSignal,
): Promise<Json | undefined> {
  const id = `postern-${randomUUID()}`;
  const asked = isRecord(params) ? params : undefined;
  // Gone from 2026-07-28, required before (client/elicitation, URL mode).
  const byUrl = asked?.mode === 'url' ? { elicitationId: randomUUID() } : {};
  const question = { jsonrpc: '2.0', id, method, ...(asked === undefined ? {} : { params: { ...asked, ...byUrl } }) };
  const { result } = await memory.answerTo(id, weightOfMessage(question), signal, () => send(question));
  if (isRecord(result)) return result;
  return refusedResult(method);
}
