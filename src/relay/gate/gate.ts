import { randomUUID } from 'node:crypto';
import { closest } from 'fastest-levenshtein';
import { type Identity, ownerKey } from '../../identity/identity.ts';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import type { Config } from '../../platform/config/schema.ts';
import { isRecord } from '../../platform/is-record.ts';
import type { Logger } from '../../platform/log.ts';
import type { RelayMetrics, StoreMetrics } from '../../platform/metrics.ts';
import { currentSpan, step } from '../../platform/tracing/current-span.ts';
import type { Span, Tracing } from '../../platform/tracing/span.ts';
import type { Stores } from '../../stores/stores.ts';
import type { Watcher } from '../../watch/watch.ts';
import { ALL_SERVERS } from '../all-servers.ts';
import { messageEntry, RecordedArguments } from '../audit/message-entry.ts';
import { mcpAttributes } from '../mcp-attributes.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { Policy } from '../policy/policy.ts';
import {
  type Call,
  type DenialReason,
  type Denied,
  type PolicyDecision,
  permissionOf,
} from '../policy/policy-decision.ts';
import { visible } from '../policy/visible.ts';
import type { Message } from '../protocol/message.ts';
import { causeFields, type Refusal, refusalOf } from '../refusal.ts';
import type { ReplicaChannel } from '../replicas/replica-channel.ts';
import type { AuthenticationSource } from '../trust/trust.ts';
import { type CallLimit, CallLimits } from './call-limits.ts';
import { observeDenial } from './denial-watch.ts';
import { argumentsTooLarge, denialOf, heldBack, UNRECORDED } from './denials.ts';
import { type CallPlace, type OpenCall, OpenCalls } from './open-calls.ts';
import type { RateLimitStates } from './rate-limit-states.ts';
import { RelayRateLimits } from './rate-limits.ts';
import { ResponseGuard } from './response-guard.ts';
import type { Tools } from './tools/tools.ts';

type Json = Readonly<Record<string, unknown>>;

/** One message of a client that wants to go to a server. */
export interface AuthorizationRequest {
  readonly identity: Identity;
  readonly way: AuthenticationSource;
  readonly server: string;
  readonly message: Message;
  /** The server's session; undefined: none, or none of the client's. */
  readonly session?: string | undefined;
  /** A stream is taken up again: it brings answers to earlier requests (`Last-Event-ID`). */
  readonly resumes?: boolean | undefined;
  /** As the server will get it; undefined where it gets what was parsed. */
  readonly bytes?: Buffer | null | undefined;
  readonly requestId: () => string;
}

export interface GateDeps {
  readonly stores: Pick<Stores, 'limiter'>;
  readonly metrics: Pick<RelayMetrics, 'toolCalls' | 'policyDenials'>;
  readonly storeMetrics: Pick<StoreMetrics, 'rateLimited'>;
  readonly audit: AuditLog | undefined;
  readonly watch?: Watcher | undefined;
  readonly tools: Tools;
  /** Absent: nobody looks. */
  readonly rateLimits?: RateLimitStates | undefined;
  readonly log: Logger;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
  /** With the other replicas, about calls whose answers may come there; absent: there are none. */
  readonly channel?: ReplicaChannel | undefined;
}

/** A request without a message: a GET stream, a DELETE, the opening of a connection. */
export const NO_MESSAGE: Message = { id: undefined, method: undefined, params: {} };

/** A message that was let in, until what became of it is known. */
export class Permit {
  /** What the server says on its stream passes this; undefined: it passes as it comes. */
  readonly guard: ResponseGuard | undefined;
  readonly #ended: (outcome: string) => void;

  constructor(guard: ResponseGuard | undefined, ended: (outcome: string) => void) {
    this.guard = guard;
    this.#ended = ended;
  }

  /** @param outcome `relayed` and so on: a closed set */
  ended(outcome: string): void {
    this.#ended(outcome);
  }
}

function callWithoutMessage(identity: Identity, server: string): Call {
  const { method, params } = NO_MESSAGE;
  return { identity, server, method, params, text: undefined };
}

/** The aggregate request is not authorized here; each request that it fans out to is. */
const AUTHORIZED_LATER = new Permit(undefined, () => {});

type RateLimitedBy = Config['relay']['rateLimits'][number]['by'];

/** What a reload replaces. */
interface GateRules {
  readonly policy: Policy | undefined;
  readonly rateLimits: RelayRateLimits;
  readonly callLimits: CallLimits;
  /** Bytes. */
  readonly maxMessage: number;
  readonly metadataBase: string;
}

/** What every message passes between who sent it and the server: limits, policy, and the counting of both. */
export class Gate {
  #rules: GateRules;
  readonly #openCalls: OpenCalls;
  readonly #recorded: RecordedArguments;
  readonly #reported = new Set<string>();
  readonly #deps: GateDeps;

  /** @throws ConfigurationError where the policy is wrong */
  constructor(config: Config, deps: GateDeps) {
    this.#deps = deps;
    this.#rules = this.#compile(config);
    this.#recorded = new RecordedArguments(config.audit.arguments);
    this.#openCalls = new OpenCalls(deps.channel);
  }

  /**
   * Compiles the rules of another configuration. Those before apply until the returned function is called.
   *
   * @throws ConfigurationError where the policy is wrong
   */
  prepare(config: Config): () => void {
    const rules = this.#compile(config);
    return () => {
      this.#rules = rules;
      this.#reported.clear();
    };
  }

  #compile({ relay, publicUrl }: Config): GateRules {
    const { tools, stores, storeMetrics, rateLimits } = this.#deps;
    const isReadOnly = (server: string, tool: string) => tools.book.isReadOnly(server, tool);
    const onLimited = (by: RateLimitedBy) => storeMetrics.rateLimited.inc({ process: 'relay', by });
    return {
      policy: relay.policy && compilePolicy(relay.policy, Object.keys(relay.servers), isReadOnly),
      rateLimits: new RelayRateLimits(relay.rateLimits, stores, onLimited, rateLimits),
      callLimits: new CallLimits(relay.callLimits),
      maxMessage: relay.limits.maxServerMessage,
      metadataBase: `${new URL(publicUrl).origin}/.well-known/oauth-protected-resource/servers/`,
    };
  }

  /**
   * Synchronous where nothing has to be counted.
   *
   * @throws DependencyUnavailable where limits cannot be counted and must be
   */
  authorize(entry: AuthorizationRequest): Permit | Refusal | Promise<Permit | Refusal> {
    if (entry.server === ALL_SERVERS) return AUTHORIZED_LATER;
    const attributes = () => ({ 'postern.server': entry.server, ...mcpAttributes(entry.message) });
    return step(
      this.#deps.tracing,
      'policy',
      () => ({ attributes: attributes() }),
      (span) => {
        const entered = this.#ask(entry);
        if (span === undefined) return entered;
        return entered instanceof Promise ? entered.then((settled) => tell(span, settled)) : tell(span, entered);
      },
    );
  }

  #ask(entry: AuthorizationRequest): Permit | Refusal | Promise<Permit | Refusal> {
    const { identity, server, message } = entry;
    const { tools } = this.#deps;
    if (!tools.known(server)) return tools.load().then(() => this.#ask(entry));
    if (this.#deps.audit?.accepting === false) return UNRECORDED;
    const counted =
      message.method === undefined ? undefined : this.#rules.rateLimits.consume(identity, server, toolOf(message));
    if (counted === undefined) return this.#enter(entry);
    return counted.then((refusal) => (refusal === undefined ? this.#enter(entry) : this.#refused(entry, refusal)));
  }

  /** Whether there is anything at the server for this identity; nothing is counted or recorded. */
  mayUse(identity: Identity, server: string): boolean {
    return this.#rules.policy?.judge(callWithoutMessage(identity, server)).kind !== 'denied';
  }

  /** Why there is nothing at the server for this identity; undefined: there is something. Nothing is counted or recorded. */
  denialAt(identity: Identity, server: string): Refusal | undefined {
    const { policy } = this.#rules;
    if (policy === undefined || server === ALL_SERVERS) return undefined;
    const call = callWithoutMessage(identity, server);
    const decision = policy.judge(call);
    return decision.kind === 'denied' ? this.#denialOf(policy, call, decision, false) : undefined;
  }

  #denialOf(policy: Policy, call: Call, denied: Denied, answerable: boolean): Refusal {
    const { identity, server } = call;
    const cause = policy.explain(call, denied);
    return denialOf(denied, cause, { identity, answerable }, `${this.#rules.metadataBase}${server}/mcp`);
  }

  /** For a stream on which the server says what nobody asked for; undefined: it passes as it comes. */
  listening(identity: Identity, server: string): ResponseGuard | undefined {
    return server === ALL_SERVERS ? undefined : this.#guard({ identity, server, message: NO_MESSAGE }, undefined);
  }

  /** An answer of the server, as the caller may see it; by its form, which says more than the request. */
  #visible(
    answer: Json,
    { identity, server, message }: Pick<AuthorizationRequest, 'identity' | 'server' | 'message'>,
  ): Json {
    const known = this.#deps.tools.take(answer, server, { owner: ownerKey(identity), request: message });
    this.#reportUnknownTools(server);
    const policy = this.#rules.policy;
    return policy === undefined ? known : visible(known, identity, server, policy.shows.bind(policy));
  }

  /** Once for each server, when its list has been seen to its end: a rule about a tool that is not there does nothing. */
  #reportUnknownTools(server: string): void {
    const { tools, log } = this.#deps;
    if (this.#rules.policy === undefined || this.#reported.has(server) || !tools.book.snapshot(server).complete) return;
    this.#reported.add(server);
    for (const { rule, tool } of this.#rules.policy.namedTools(server)) {
      if (tools.book.get(server, tool) !== undefined) continue;
      const near = closest(tool, Object.keys(tools.book.snapshot(server).tools));
      log.warn({ rule, server, tool, near }, 'the policy names a tool that the server does not list');
    }
  }

  /** Nothing that a message holds may end more than the message: a connection of others would end with an error thrown here. */
  #enter(entry: AuthorizationRequest): Permit | Refusal {
    try {
      return this.#judge(entry);
    } catch (error) {
      this.#deps.log.error({ error, requestId: entry.requestId() }, 'a message could not be judged');
      return this.#refused(entry, refusalOf(error));
    }
  }

  #judge(entry: AuthorizationRequest): Permit | Refusal {
    const { identity, server, message, bytes } = entry;
    const { policy } = this.#rules;
    const { method, params } = message;
    const call = { identity, server, method, params, text: bytes ? () => bytes.toString() : undefined };
    const decision = policy?.judge(call);
    if (policy !== undefined && decision?.kind === 'denied') {
      this.#countDenial(entry, decision, 'enforced');
      return this.#refused(entry, this.#denialOf(policy, call, decision, message.id !== undefined), decision.reason);
    }
    if (policy !== undefined && decision?.kind === 'allowed' && decision.wouldDeny !== undefined) {
      const { wouldDeny } = decision;
      this.#countDenial(entry, wouldDeny, 'dry_run');
      const { reason, rule, permission } = wouldDeny;
      this.#deps.log.info(
        {
          reason,
          rule,
          ...policy.explain(call, wouldDeny),
          permission,
          server,
          identity,
          requestId: entry.requestId(),
        },
        'the policy would have refused this',
      );
    }
    const tool = toolOf(message);
    if (tool !== undefined && this.#deps.tools.book.holds(server, tool))
      return this.#refused(entry, heldBack(permissionOf(server, message.method, tool)));
    const limit = tool === undefined ? undefined : this.#rules.callLimits.of(server, tool);
    if (limit?.arguments !== undefined && sizeOf(message.params.arguments) > limit.arguments)
      return this.#refused(entry, argumentsTooLarge(limit.arguments));
    const startedAt = performance.now();
    const recordOutcome = this.#recordAdmission(entry, decision);
    return new Permit(this.#guard(entry, limit), (outcome) => {
      this.#count(entry, outcome);
      recordOutcome?.(outcome, Math.round((performance.now() - startedAt) * 10) / 10);
    });
  }

  /** Lists are read to know the server's tools; where nothing is to be guarded, what cannot be read passes all the same. */
  #guard(
    entry: Pick<AuthorizationRequest, 'identity' | 'server' | 'message' | 'session' | 'resumes'>,
    limit: CallLimit | undefined,
  ): ResponseGuard | undefined {
    const { identity, server, message, session, resumes } = entry;
    const strictest = this.#rules.callLimits.strictestAt(server);
    const limits = strictest?.result !== undefined || strictest?.duration !== undefined;
    const strict = this.#rules.policy?.enforced === true || this.#deps.tools.guards(server) || limits;
    if (!strict && message.method !== 'tools/list') return undefined;
    const place = { owner: ownerKey(identity), server, session };
    const { id, method } = message;
    const asked = method !== undefined && id !== undefined;
    const startedAt = performance.now();
    const call = limits && asked ? this.#begin(place, message, limit) : undefined;
    const taken = ({ limit: own, since }: OpenCall) => own && { limit: own, taken: performance.now() - since };
    return new ResponseGuard({
      expected: asked ? { kind: 'answer', id } : { kind: resumes === true ? 'resumed' : 'none' },
      strict,
      judge: (answer) => {
        if (call !== undefined) this.#noteAnswer(place, answer, call);
        return this.#visible(answer, entry);
      },
      limit: call?.limit && (call.since < startedAt ? remaining(call.limit, call.since) : call.limit),
      limitOf: (of) => {
        const known = this.#openCalls.find(place, of);
        return known === undefined ? strictest && { limit: strictest, taken: 0 } : taken(known);
      },
      maxMessage: this.#rules.maxMessage,
      onEnd: call && (() => this.#openCalls.left(place, id)),
      onDropped: (reason) =>
        this.#deps.log.warn({ server, identity, reason }, 'a message of the MCP server was left out'),
    });
  }

  /** A task is bound by the limits of the call that it goes on with. */
  #begin(place: CallPlace, { id, method, params }: Message, limit: CallLimit | undefined): OpenCall {
    const { taskId } = params;
    const strictest = this.#rules.callLimits.strictestAt(place.server);
    if (method?.startsWith('tasks/') !== true || typeof taskId !== 'string')
      return this.#openCalls.begin(place, id, limit, strictest);
    const known = this.#openCalls.task(place, taskId);
    return known ?? this.#openCalls.begin(place, id, strictest, strictest);
  }

  #noteAnswer(place: CallPlace, { id, result }: Json, call: OpenCall): void {
    this.#openCalls.answered(place, id);
    if (!isRecord(result)) return;
    const { taskId } = isRecord(result.task) ? result.task : result;
    if (typeof taskId === 'string') this.#openCalls.becomes(place, call, taskId);
  }

  /** What was refused before it came to the gate, or carries no message. */
  recordRefusal(
    refusal: Refusal,
    about: Partial<Pick<AuthorizationRequest, 'identity' | 'server'>> & { way: string; requestId: () => string },
  ): void {
    const { identity, server, way, requestId } = about;
    const span = currentSpan();
    if (span !== undefined) tell(span, refusal);
    observeDenial(this.#deps.watch, refusal.reason, { identity, server });
    this.#deps.audit?.record({
      event: 'denial',
      outcome: 'refused',
      reason: refusal.reason,
      ...causeFields(refusal),
      identity,
      credential: identity?.method,
      via: way,
      server,
      requestId: requestId(),
    });
  }

  /**
   * A tool call is written down before the server has it, because what it did there stays done whatever becomes of this process, and
   * once more with its outcome. Sampling is for what was allowed and is no tool call.
   *
   * @returns records the outcome; undefined where it is not recorded
   */
  #recordAdmission(
    entry: AuthorizationRequest,
    decision: PolicyDecision | undefined,
  ): ((outcome: string, durationMs: number) => void) | undefined {
    const { audit } = this.#deps;
    if (audit === undefined) return undefined;
    const isCall = entry.message.method === 'tools/call';
    if (!isCall && !audit.sampled()) return undefined;
    const about = () => ({
      event: isCall ? ('tool_call' as const) : ('message' as const),
      ...messageEntry(entry, this.#recorded),
      rule: decision?.rule,
      wouldDeny: decision?.kind === 'allowed' ? decision.wouldDeny?.rule : undefined,
    });
    if (!isCall) return (outcome, durationMs) => audit.record({ ...about(), outcome, durationMs });
    const call = { ...about(), call: randomUUID() };
    audit.record({ ...call, outcome: 'admitted' });
    const { arguments: _, ...known } = call;
    return (outcome, durationMs) => audit.record({ ...known, outcome, durationMs });
  }

  /** @param reason of the policy */
  #refused(entry: AuthorizationRequest, refusal: Refusal, reason?: DenialReason): Refusal {
    this.#count(entry, refusal.reason);
    if (entry.message.method !== undefined) {
      observeDenial(this.#deps.watch, refusal.reason, entry);
      this.#deps.audit?.record({
        event: 'denial',
        outcome: 'refused',
        ...messageEntry(entry, this.#recorded),
        reason: reason ?? refusal.reason,
        ...causeFields(refusal),
      });
    }
    return refusal;
  }

  #count({ server, message }: AuthorizationRequest, outcome: string): void {
    const name = toolOf(message);
    if (name === undefined) return;
    const tool = this.#deps.tools.book.get(server, name) === undefined ? 'unlisted' : name;
    this.#deps.metrics.toolCalls.inc({ server, tool, outcome });
  }

  #countDenial({ server }: AuthorizationRequest, { reason }: Denied, mode: 'enforced' | 'dry_run'): void {
    this.#deps.metrics.policyDenials.inc({ server, reason, mode });
  }
}

/** A refusal is kept whatever share of traces is. */
function tell<T extends Permit | Refusal>(span: Span, entered: T): T {
  if (entered instanceof Permit) return entered;
  span.set({ 'postern.reason': entered.reason });
  span.keep();
  return entered;
}

/** What is left of the limits of a call that has gone on since then. */
function remaining(limit: CallLimit, since: number): CallLimit {
  if (limit.duration === undefined) return limit;
  return { ...limit, duration: Math.max(1, Math.ceil(limit.duration - (performance.now() - since))) };
}

/** The tool of a call. */
function toolOf({ method, params }: Message): string | undefined {
  if (method !== 'tools/call') return undefined;
  return typeof params.name === 'string' ? params.name : '';
}

function sizeOf(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}
