import { ADMIN } from './admin/paths.ts';
import { CONNECT } from './connect/paths.ts';

/** The address as spans name it (`http.route`): without what a client may put into it. */
export function spanRoute(path: string): string | undefined {
  const transport = /^\/servers\/[a-z0-9][a-z0-9-]*\/(mcp|sse|messages|ws)\/?$/.exec(path)?.[1];
  if (transport !== undefined) return `/servers/{server}/${transport}`;
  if (/^\/(?:mcp|sse|messages|ws)\/?$/.test(path)) return path.replace(/\/$/, '');
  return [ADMIN, CONNECT].find((area) => path === area || path.startsWith(`${area}/`));
}
