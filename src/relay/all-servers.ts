/** In the place of a server's name if all are meant as one. No server can be called so. */
export const ALL_SERVERS = '*';
