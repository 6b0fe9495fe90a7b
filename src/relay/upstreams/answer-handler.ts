import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { AnswerFilter, type AnswerRules } from '../gate/answer-filter.ts';
import { guarded } from './guarded-handler.ts';
import { type RelayEvents, ResponseRelay, type StreamTimes } from './response-relay.ts';

/** What takes a server's response for one HTTP response of the relay. @param rules where it must be read or limited on its way */
export function answerHandler(
  response: ServerResponse,
  events: RelayEvents,
  times: StreamTimes,
  rules: AnswerRules | undefined,
): Dispatcher.DispatchHandler {
  const relay = guarded(new ResponseRelay(response, events, times));
  return rules === undefined ? relay : guarded(new AnswerFilter(relay, rules));
}
