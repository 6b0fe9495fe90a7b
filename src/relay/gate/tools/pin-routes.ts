import { isRecord } from '../../../platform/is-record.ts';
import { badRequest, notFound, type OperatorRoute } from '../../../platform/operator-api.ts';
import type { PinDecision, Tools } from './tools.ts';

/** What operators see of held tools, and how they let one through or keep it out. */
export function pinRoutes(tools: Tools): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/pins$/,
      handle: async () => {
        await tools.load();
        const held = tools.held().map(({ listedAt, rejectedAt, ...tool }) => ({
          ...tool,
          listed_at: new Date(listedAt).toISOString(),
          ...(rejectedAt === undefined ? {} : { rejected_at: new Date(rejectedAt).toISOString() }),
        }));
        return { status: 200, body: { held } };
      },
    },
    decisionRoute(tools, 'approve', 'approved'),
    decisionRoute(tools, 'reject', 'rejected'),
  ];
}

function decisionRoute(tools: Tools, decision: PinDecision, done: string): OperatorRoute {
  return {
    method: 'POST',
    path: new RegExp(`^/pins/${decision}$`),
    handle: async ({ body }) => {
      const { server, tool, hash } = isRecord(body) ? body : {};
      if (typeof server !== 'string' || typeof tool !== 'string' || typeof hash !== 'string')
        return badRequest('give server, tool and hash, as GET /pins has them');
      await tools.load();
      if (!tools.decide(decision, { server, tool, hash }))
        return notFound('no such definition is listed now: list again');
      return { status: 200, body: { [done]: true } };
    },
  };
}
