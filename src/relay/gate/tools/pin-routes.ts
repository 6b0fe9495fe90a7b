import { isRecord } from '../../../platform/is-record.ts';
import { badRequest, notFound, type OperatorRoute } from '../../../platform/operator-api.ts';
import type { Tools } from './tools.ts';

/** What operators see of held tools, and how they let one through. */
export function pinRoutes(tools: Tools): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/pins$/,
      handle: async () => {
        await tools.load();
        const held = tools
          .held()
          .map(({ listedAt, ...tool }) => ({ ...tool, listed_at: new Date(listedAt).toISOString() }));
        return { status: 200, body: { held } };
      },
    },
    {
      method: 'POST',
      path: /^\/pins\/approve$/,
      handle: async ({ body }) => {
        const { server, tool, hash } = isRecord(body) ? body : {};
        if (typeof server !== 'string' || typeof tool !== 'string' || typeof hash !== 'string')
          return badRequest('give server, tool and hash, as GET /pins has them');
        await tools.load();
        if (!tools.approve(server, tool, hash)) return notFound('no such definition is listed now: list again');
        return { status: 200, body: { approved: true } };
      },
    },
  ];
}
