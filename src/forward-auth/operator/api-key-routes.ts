import { userOf } from '../../identity/user.ts';
import { notFound, type OperatorRoute } from '../../platform/operator-api.ts';
import type { ApiKeys } from '../api-keys/api-keys.ts';
import { isMeant } from './people.ts';

/** Make, list and revoke API keys. @param lasting whether keys outlive this process: not in memory */
export function apiKeyRoutes(
  keys: Pick<ApiKeys, 'create' | 'list' | 'revoke' | 'personOf'>,
  lasting: boolean,
): OperatorRoute[] {
  return [
    {
      method: 'POST',
      path: /^\/api-keys$/,
      handle: async ({ body }) => {
        const { listing, key } = await keys.create(body);
        return { status: 201, body: { ...listing, lasting, key } };
      },
    },
    {
      method: 'GET',
      path: /^\/api-keys$/,
      handle: async ({ query }) => {
        const meant = (await keys.list()).filter((key) => isMeant(keys.personOf(key), query));
        return { status: 200, body: { apiKeys: meant.map((key) => ({ ...key, user: userOf(keys.personOf(key)) })) } };
      },
    },
    {
      method: 'DELETE',
      path: /^\/api-keys\/([0-9A-Za-z]{8,12})$/,
      handle: async ({ id }) =>
        (await keys.revoke(id))
          ? { status: 200, body: { revoked: id } }
          : notFound('there is no such API key; GET /api-keys lists them'),
    },
  ];
}
