/** Pages of connecting: at the origin of `publicUrl`, behind the proxy. */
export const CONNECT = '/connect';
export const CONNECT_ASSETS = `${CONNECT}/assets`;

export function serverPath(server: string): string {
  return `${CONNECT}/servers/${server}`;
}

export function callbackPath(server: string): string {
  return `${serverPath(server)}/callback`;
}
