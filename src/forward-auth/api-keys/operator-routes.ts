import { PosternError } from '../../platform/errors.ts';
import type { ApiKeys } from './api-keys.ts';

/** One operation for operators, on the internal listener behind `auth.operatorToken`, which the caller has checked. */
export interface ApiKeyRoute {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Of the whole path; its first group is `id`. */
  readonly path: RegExp;
  /** @throws PosternError with the status and what may be shown; DependencyUnavailable where the store is away */
  handle(request: { readonly id: string; readonly body: unknown }): Promise<{ status: number; body: object }>;
}

/** @param lasting whether keys outlive this process: false in memory */
export function apiKeyRoutes(keys: ApiKeys, lasting: boolean): readonly ApiKeyRoute[] {
  return [
    {
      method: 'POST',
      path: /^\/api-keys()$/,
      handle: async ({ body }) => {
        const { listing, key } = await keys.create(body);
        return { status: 201, body: { ...listing, lasting, key } };
      },
    },
    {
      method: 'GET',
      path: /^\/api-keys()$/,
      handle: async () => ({ status: 200, body: { apiKeys: await keys.list() } }),
    },
    {
      method: 'DELETE',
      path: /^\/api-keys\/([0-9A-Za-z]{8,12})$/,
      handle: async ({ id }) => {
        if (!(await keys.revoke(id)))
          throw new PosternError('not_found', `there is no API key "${id}"`, { status: 404, expose: true });
        return { status: 200, body: { revoked: id } };
      },
    },
  ];
}
