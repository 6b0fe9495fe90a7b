import type { Authenticated } from './authentication.ts';
import type { Limit } from './decision.ts';
import type { McpOperation } from './mcp-operation.ts';
import type { CheckRequest } from './request.ts';

/** What counts requests. Answers undefined where they may go on, at once where there is nothing to count. */
export interface Limits {
  /** Before any credential is looked at: by address. */
  beforeAuthentication(request: CheckRequest): Limit | undefined | Promise<Limit | undefined>;
  /** Once it is known who asks: by user, API key, server and tool. */
  afterAuthentication(
    request: CheckRequest,
    authenticated: Authenticated,
    operation: McpOperation | undefined,
  ): Limit | undefined | Promise<Limit | undefined>;
}

export const NO_LIMITS: Limits = { beforeAuthentication: () => undefined, afterAuthentication: () => undefined };
