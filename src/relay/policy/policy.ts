import type { Cause } from '../../identity/denial-cause.ts';
import type { Identity } from '../../identity/identity.ts';
import type { PolicyConfig } from '../../platform/config/schema.ts';
import { looseName, Names } from '../../platform/names.ts';
import { hasRepeatedKey } from '../protocol/message-keys.ts';
import { denialCause, type NearestRule } from './denial-cause.ts';
import { type McpObject, type Operation, operationOf } from './operation.ts';
import { type Call, type DenialReason, type Denied, type PolicyDecision, permissionOf } from './policy-decision.ts';
import type { Rule } from './rule.ts';

/** Whether the server has listed the tool as one that changes nothing. Unknown is no. */
export type IsReadOnly = (server: string, tool: string) => boolean;

const DEFAULT = 'relay.policy.default';

/** Which identity may do what at which server. Pure: what servers have listed is asked for. */
export class Policy {
  readonly #rules: readonly Rule[];
  readonly #default: 'allow' | 'deny';
  readonly #dryRun: boolean;
  readonly #readOnly: Names;
  readonly #isReadOnly: IsReadOnly;

  constructor(config: PolicyConfig, rules: readonly Rule[], isReadOnly: IsReadOnly) {
    this.#rules = rules;
    this.#default = config.default;
    this.#dryRun = config.dryRun;
    this.#readOnly = new Names(config.readOnly);
    this.#isReadOnly = isReadOnly;
  }

  /** It refuses and hides; in dry run it only says so. */
  get enforced(): boolean {
    return !this.#dryRun;
  }

  /** One message. */
  judge(call: Call): PolicyDecision {
    const operation = operationOf(call.method, call.params);
    const decision = this.#judge(call, operation);
    if (decision.kind === 'allowed' || !this.#dryRun) return decision;
    return { kind: 'allowed', rule: 'relay.policy.dryRun', wouldDeny: decision };
  }

  /** Why it was denied, for the operator. @param denied what `judge` said of the call */
  explain(call: Call, denied: Denied): Cause {
    return denialCause(denied, call.identity, this.#nearest(call));
  }

  /** The first allow rule that is about the same. */
  nearestRule(call: Call): string | undefined {
    return this.#nearest(call)?.rule.name;
  }

  /** Whether an object is shown to them; a rule about arguments may let it through. */
  shows(identity: Identity, server: string, object: McpObject, template = false): boolean {
    if (this.#dryRun) return true;
    const method = object.kind === 'tool' ? 'tools/call' : object.kind === 'prompt' ? 'prompts/get' : 'resources/read';
    if (this.#changesReadOnly(server, object)) return false;
    for (const rule of this.#rules) {
      if (rule.dryRun || !rule.servers.has(server) || rule.who.is(identity) !== 'yes') continue;
      if (rule.effect === 'deny' && rule.schema !== undefined) continue;
      if (!(template ? rule.coversTemplate(object.name) : rule.coversObject(method, object))) continue;
      if (rule.readOnly && !this.#isReadOnly(server, object.name)) continue;
      return rule.effect === 'allow';
    }
    return this.#default === 'allow';
  }

  /** Tools that rules about this server alone name without a glob, where a mistake would be seen by nobody. */
  namedTools(server: string): Array<{ readonly rule: string; readonly tool: string }> {
    return this.#rules
      .filter(({ servers }) => servers.globs.length === 1 && servers.globs[0] === server)
      .flatMap(({ name, tools }) =>
        (tools?.globs ?? []).filter((tool) => !tool.includes('*')).map((tool) => ({ rule: name, tool })),
      );
  }

  #judge(call: Call, operation: Operation): PolicyDecision {
    switch (operation.kind) {
      case 'unclear':
        return this.#denied(call, 'unclear', DEFAULT);
      case 'objects':
        return this.#allOf(call, operation.method, operation.objects);
      case 'session':
      case 'list':
        return this.#method(call, operation, true);
      case 'other':
        return this.#method(call, operation, false);
      default:
        return operation satisfies never;
    }
  }

  /** @param anything whether it is enough that they may use anything at the server */
  #method(call: Call, operation: Operation, anything: boolean): PolicyDecision {
    let wouldDeny: Denied | undefined;
    let scopes: readonly string[] = [];
    for (const rule of this.#rules) {
      if (!rule.servers.has(call.server)) continue;
      const covers = rule.coversMethod(operation);
      if (!covers && !(anything && rule.effect === 'allow')) continue;
      const who = rule.who.is(call.identity);
      if (who === 'scopes' && rule.effect === 'allow' && scopes.length === 0) scopes = rule.who.scopes;
      if (who !== 'yes') continue;
      if (rule.effect === 'allow') return allowed(rule.name, wouldDeny);
      const denied = this.#denied(call, 'rule', rule.name, scopes);
      if (!rule.dryRun) return denied;
      wouldDeny ??= denied;
    }
    return this.#default === 'allow' ? allowed(DEFAULT, wouldDeny) : this.#denied(call, 'no_rule', DEFAULT, scopes);
  }

  #allOf(call: Call, method: string, objects: readonly McpObject[]): PolicyDecision {
    let last: PolicyDecision = allowed(DEFAULT, undefined);
    let wouldDeny: Denied | undefined;
    for (const object of objects) {
      last = this.#object(call, method, object);
      if (last.kind === 'denied') return last;
      wouldDeny ??= last.wouldDeny;
    }
    return allowed(last.rule, wouldDeny);
  }

  #object(call: Call, method: string, object: McpObject): PolicyDecision {
    const { identity, server, params } = call;
    if (this.#changesReadOnly(server, object))
      return this.#denied(call, 'read_only', 'relay.policy.readOnly', [], object.name);
    let wouldDeny: Denied | undefined;
    let scopes: readonly string[] = [];
    for (const rule of this.#rules) {
      if (!rule.servers.has(server) || !rule.coversObject(method, object)) continue;
      const who = rule.who.is(identity);
      if (who === 'no') continue;
      if (rule.readOnly && !this.#isReadOnly(server, object.name)) continue;
      const fit = rule.schema?.judge(
        params.arguments,
        () => call.text !== undefined && hasRepeatedKey(call.text(), looseName),
      );
      if (fit === 'unclear') return this.#denied(call, 'unclear', rule.name, [], object.name);
      if (fit === 'does_not_fit') continue;
      if (who === 'scopes') {
        if (rule.effect === 'allow' && scopes.length === 0) scopes = rule.who.scopes;
        continue;
      }
      if (rule.effect === 'allow') return allowed(rule.name, wouldDeny);
      const denied = this.#denied(call, 'rule', rule.name, scopes, object.name);
      if (!rule.dryRun) return denied;
      wouldDeny ??= denied;
    }
    return this.#default === 'allow'
      ? allowed(DEFAULT, wouldDeny)
      : this.#denied(call, 'no_rule', DEFAULT, scopes, object.name);
  }

  #nearest({ server, method, params }: Call): NearestRule | undefined {
    const operation = operationOf(method, params);
    if (operation.kind === 'unclear') return undefined;
    const covers = (rule: Rule) =>
      operation.kind === 'objects'
        ? operation.objects.some((object) => rule.coversObject(operation.method, object))
        : operation.kind !== 'other' || rule.coversMethod(operation);
    const about = this.#rules.filter((rule) => rule.effect === 'allow' && rule.servers.has(server) && covers(rule));
    const rule = about.find(({ who }) => !who.anonymousOnly) ?? about[0];
    if (rule === undefined) return undefined;
    const wantsReadOnly =
      rule.readOnly &&
      operation.kind === 'objects' &&
      operation.objects.some(({ name }) => !this.#isReadOnly(server, name));
    return { rule, wantsReadOnly };
  }

  #changesReadOnly(server: string, { kind, name }: McpObject): boolean {
    return kind === 'tool' && this.#readOnly.has(server) && !this.#isReadOnly(server, name);
  }

  #denied(call: Call, reason: DenialReason, rule: string, scopes: readonly string[] = [], name?: string): Denied {
    return { kind: 'denied', reason, rule, permission: permissionOf(call.server, call.method, name), scopes };
  }
}

function allowed(rule: string, wouldDeny: Denied | undefined): PolicyDecision {
  return wouldDeny === undefined ? { kind: 'allowed', rule } : { kind: 'allowed', rule, wouldDeny };
}
