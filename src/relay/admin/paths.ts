/** Where the admin pages are, at the relay's own listener. */
export const ADMIN = '/admin';
