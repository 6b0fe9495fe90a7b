import type { PolicyRuleConfig } from '../../platform/config/schema.ts';
import { Names } from '../../platform/names.ts';
import { ResourceUris } from '../../platform/resource-uris.ts';
import { ArgumentSchema } from './argument-schema.ts';
import { type McpObject, type McpObjectKind, methodsOf, type Operation } from './operation.ts';
import { Who } from './who.ts';

/** One configured rule, ready to be compared. */
export class Rule {
  readonly name: string;
  readonly effect: 'allow' | 'deny';
  readonly dryRun: boolean;
  readonly readOnly: boolean;
  readonly who: Who;
  readonly servers: Names;
  readonly methods: Names | undefined;
  readonly tools: Names | undefined;
  readonly prompts: Names | undefined;
  readonly resources: ResourceUris | undefined;
  readonly schema: ArgumentSchema | undefined;
  readonly schemaSource: PolicyRuleConfig['arguments'];
  readonly #selective: boolean;

  /** @throws Error whose message starts with the key below the rule that is wrong */
  constructor(config: PolicyRuleConfig, index: number) {
    this.name = `relay.policy.rules[${index}]`;
    this.effect = config.effect;
    this.dryRun = config.dryRun;
    this.readOnly = config.readOnly;
    this.who = new Who(config.who, config.effect);
    this.servers = new Names(config.servers);
    this.methods = config.methods && new Names(config.methods);
    this.tools = config.tools && new Names(config.tools);
    this.prompts = config.prompts && new Names(config.prompts);
    this.resources = config.resources && new ResourceUris(config.resources);
    this.#selective = (config.tools ?? config.prompts ?? config.resources) !== undefined;
    this.schemaSource = config.arguments;
    try {
      this.schema = config.arguments && new ArgumentSchema(config.arguments);
    } catch (error) {
      throw new Error(`arguments: is not a JSON Schema: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Whether a rule about calls of tools only, as one with a condition on arguments or on what tools do. */
  get toolsOnly(): boolean {
    return this.readOnly || this.schema !== undefined;
  }

  /** Whether it holds for a method that names no object. */
  coversMethod({ method }: Operation): boolean {
    if (this.toolsOnly || this.#selective) return false;
    return this.methods === undefined || this.#hasMethod(this.methods, method);
  }

  /** Whether it holds for the object, arguments aside. */
  coversObject(method: string, { kind, name }: McpObject): boolean {
    if (this.toolsOnly && kind !== 'tool') return false;
    if (this.methods !== undefined && !this.#hasMethod(this.methods, method)) return false;
    if (!this.#selective) return true;
    const names = this.#namesOf(kind);
    return names !== undefined && (this.effect === 'deny' ? names.hasLike(name) : names.has(name));
  }

  /** Whether a resource that a template yields may fall under it: for a denial, whether all of them do. */
  coversTemplate(template: string): boolean {
    if (this.toolsOnly || (this.methods !== undefined && !this.#hasMethod(this.methods, 'resources/read')))
      return false;
    if (!this.#selective) return true;
    if (this.resources === undefined) return false;
    return this.effect === 'deny' ? this.resources.hasLike(template) : this.resources.meets(template);
  }

  /** Methods that it can hold for, by the kinds of objects it names; undefined: any. */
  get objectMethods(): readonly string[] | undefined {
    if (!this.#selective) return undefined;
    return (['tool', 'prompt', 'resource'] as const).flatMap((kind) =>
      this.#namesOf(kind) === undefined ? [] : methodsOf(kind),
    );
  }

  #namesOf(kind: McpObjectKind): Names | ResourceUris | undefined {
    switch (kind) {
      case 'tool':
        return this.tools;
      case 'prompt':
        return this.prompts;
      case 'resource':
        return this.resources;
      default:
        return kind satisfies never;
    }
  }

  #hasMethod(methods: Names, method: string): boolean {
    return this.effect === 'deny' ? methods.hasLike(method) : methods.has(method);
  }
}
