import type { RecentDenials } from '../../platform/audit/recent-denials.ts';
import { badRequest, type OperatorRoute } from '../../platform/operator-api.ts';

const MAX_LISTED = 1_000;

/** List what this replica refused lately. */
export function denialRoutes(denials: Pick<RecentDenials, 'list' | 'replica'>): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/denials$/,
      handle: async ({ query }) => {
        const limit = query.get('limit') ?? '100';
        if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > MAX_LISTED)
          return badRequest(`limit: give a number from 1 to ${MAX_LISTED}`);
        const [user, server] = ['user', 'server'].map((name) => query.get(name) || undefined);
        const found = denials.list({ user, server, limit: Number(limit) });
        return { status: 200, body: { replica: denials.replica, denials: found } };
      },
    },
  ];
}
