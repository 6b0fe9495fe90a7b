// What still stops an attacker, in the words of docs/proxy-holes.md.

export const BY_ASSERTION = 'relay: the signature speaks, and such a header goes no further';
export const BY_USER = 'relay 401: the assertion names another user';
export const BY_BINDING = 'relay 401: the assertion is for another request';
export const BY_SECRET = 'relay 401: no proof of the proxy';
export const BY_ALIAS = 'relay 400: a header imitates one of identity';
export const BY_ABSENCE = 'relay 401: no assertion';
export const BY_FAMILY = 'relay: an allow-list of headers, in which this is not';
export const BY_NONE = 'nothing: rate limits and logs go by that address';
export const BY_TARGET = 'forward-auth 400: the target can be read in two ways';

/** A hole of every proxy, of which one name stands for all. */
export const OVERRIDE = '`X-Original-URL` goes on to an application that acts on it instead of the checked path';
