import { USER_NAMES, userFields } from '../../identity/user.ts';
import { badRequest, notFound, type OperatorRoute } from '../../platform/operator-api.ts';
import type { Broker } from '../mcp-authorization/broker/broker.ts';
import type { Grant } from '../mcp-authorization/broker/grants.ts';
import { isMeant } from './people.ts';

type Part = Pick<Broker, 'grants' | 'clients'>;

/** List and remove registered clients, list and end what people granted. */
export function oauthRoutes({ grants, clients }: Part): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/oauth\/clients$/,
      handle: async ({ query }) => {
        const all = await clients.list();
        if (!query.has('user')) return { status: 200, body: { clients: all } };
        const used = new Set((await chosen(grants, query)).map(({ client }) => client));
        return { status: 200, body: { clients: all.filter(({ client }) => used.has(client)) } };
      },
    },
    {
      method: 'DELETE',
      path: /^\/oauth\/clients$/,
      handle: async ({ query }) => {
        const id = query.get('client') ?? '';
        if (id === '') return badRequest('give which: ?client=<the id that GET /oauth/clients lists>');
        const removed = await clients.remove(id);
        return removed.client || removed.grants > 0
          ? { status: 200, body: { removed: removed.client, grants: removed.grants } }
          : notFound('there is no such client, and no user granted it anything; GET /oauth/clients lists them');
      },
    },
    {
      method: 'GET',
      path: /^\/oauth\/grants$/,
      handle: async ({ query }) => ({ status: 200, body: { grants: (await chosen(grants, query)).map(listed) } }),
    },
    {
      method: 'DELETE',
      path: /^\/oauth\/grants$/,
      handle: async ({ query }) => {
        if (query.size === 0) return badRequest('give which: ?client=… or ?user=… (or both), or ?grant=…');
        let ended = 0;
        for (const { id } of await chosen(grants, query)) if (await grants.end(id, 'operator')) ended += 1;
        return { status: 200, body: { ended } };
      },
    },
  ];
}

async function chosen(grants: Part['grants'], query: URLSearchParams): Promise<Grant[]> {
  const wanted = (name: string, value: string) => query.get(name) === null || query.get(name) === value;
  const client = query.get('client');
  const found = client === null ? await grants.list() : await grants.ofClient(client);
  return found.filter(
    (grant) => wanted('grant', grant.handle) && wanted('provider', grant.provider) && isMeant(grant, query),
  );
}

/** What is said about a grant; never a token. Times are ISO 8601. */
function listed(grant: Grant) {
  const { handle, client, clientName, provider, resource, scopes, createdAt, expiresAt } = grant;
  const [created, ends] = [createdAt, expiresAt].map((at) => new Date(at).toISOString());
  return {
    grant: handle,
    client,
    clientName,
    ...userFields(grant, USER_NAMES),
    provider,
    resource,
    scopes,
    created,
    ends,
  };
}
