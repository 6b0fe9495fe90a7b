import { badRequest, type OperatorRoute } from '../../platform/operator-api.ts';
import type { MigrationReport, ReportedSource } from './migration-report.ts';

const WAYS: readonly string[] = ['proxy', 'jwt', 'both'] satisfies ReportedSource[];

/** `GET /migration`, with `?way=jwt` for those who still come by JWT. */
export function migrationRoutes(report: MigrationReport): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/migration$/,
      handle: async ({ query }) => {
        const way = query.get('way') ?? undefined;
        if (way !== undefined && !WAYS.includes(way)) return badRequest(`way is one of ${WAYS.join(', ')}`);
        return { status: 200, body: report.read(way as ReportedSource | undefined) };
      },
    },
  ];
}
