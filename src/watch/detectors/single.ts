import { userOf } from '../../identity/user.ts';
import type { SecurityEventKind } from '../../platform/config/watch-schema.ts';
import type { Detector, Finding } from '../detector.ts';
import type { Observation } from '../observation.ts';

/** What is unusual the first time already, because nobody honest does it. */
export class SingleDetector implements Detector {
  readonly #wanted: ReadonlySet<SecurityEventKind>;

  constructor(wanted: ReadonlySet<SecurityEventKind>) {
    this.#wanted = wanted;
  }

  see(observation: Observation): Finding | undefined {
    const finding = findingOf(observation);
    return finding !== undefined && this.#wanted.has(finding.kind) ? finding : undefined;
  }
}

function findingOf(observation: Observation): Finding | undefined {
  switch (observation.kind) {
    case 'forgery': {
      const { address, reason } = observation;
      return { kind: 'spoof_attempt', subject: `${address} ${reason}`, count: 1, address, reason };
    }
    case 'token_reuse': {
      const { person, reason, address } = observation;
      return {
        kind: 'refresh_token_reuse',
        subject: person === undefined ? address : userOf(person),
        count: 1,
        person,
        reason,
        address,
      };
    }
    case 'provider_removed': {
      const { person, provider } = observation;
      return { kind: 'removed_provider', subject: userOf(person), count: 1, person, reason: provider };
    }
    case 'operator_refused': {
      const { address } = observation;
      return { kind: 'operator_refused', subject: address, count: 1, address };
    }
    case 'requests':
    case 'sign_in':
    case 'denial':
    case 'tool_denial':
    case 'credential_refused':
    case 'api_key_refused':
      return undefined;
    default:
      return observation satisfies never;
  }
}
