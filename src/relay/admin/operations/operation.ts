import type { z } from 'zod';
import { PosternError } from '../../../platform/errors.ts';
import type { Operator } from '../access/operator.ts';

export interface Description<Input extends z.ZodObject, Output extends z.ZodObject> {
  /** `operationId` of the OpenAPI document. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/admin/api`; `{name}` is a field of the input. */
  readonly path: string;
  readonly summary: string;
  /** Fields that are not in the path: of the query, or with POST of a JSON body. */
  readonly input: Input;
  readonly output: Output;
  /** Problems that it can have beside those of every operation, by status. */
  readonly problems?: Readonly<Record<number, string>>;
}

/** One thing that an operator sees or does, the same for pages and API. */
export class Operation<Input extends z.ZodObject, Output extends z.ZodObject> {
  readonly description: Description<Input, Output>;
  readonly #handle: (input: z.output<Input>, operator: Operator) => z.input<Output> | Promise<z.input<Output>>;

  constructor(
    description: Description<Input, Output>,
    handle: (input: z.output<Input>, operator: Operator) => z.input<Output> | Promise<z.input<Output>>,
  ) {
    this.description = description;
    this.#handle = handle;
  }

  /**
   * Nothing leaves that the description does not name.
   *
   * @throws PosternError 400 where the input does not fit, and with the status of what is wrong otherwise
   */
  async run(input: unknown, operator: Operator): Promise<z.output<Output>> {
    const read = this.description.input.safeParse(input);
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.') || 'the request'}: ${message}`);
      throw new PosternError('invalid_request', problems.slice(0, 5).join('; '), { status: 400, expose: true });
    }
    return this.description.output.parse(await this.#handle(read.data, operator)) as z.output<Output>;
  }
}

/** Any operation, to whoever only passes requests on. */
export interface AnyOperation {
  readonly description: Description<z.ZodObject, z.ZodObject>;
  run(input: unknown, operator: Operator): Promise<object>;
}

export function notFound(message: string): PosternError {
  return new PosternError('not_found', message, { status: 404, expose: true });
}
