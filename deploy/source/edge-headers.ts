/**
 * Header names that no client may send to what stands behind a proxy. Every list of them in `deploy/` is written from here
 * by `npm run deploy:headers`, so that no folder forgets what another one removes.
 */

/** Everything that begins so, written as a program writes it; Postern's own and those that a rule can `emit`. */
export const FAMILIES = ['X-Authenticated', 'X-Auth-Request', 'X-Webauth', 'Remote'] as const;

/** Whole names by which applications know a user, and which a rule can `emit`. */
export const EMITTED_NAMES = [
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Preferred-Username',
] as const;

/** Members of the families that no answer of forward-auth holds, for a proxy that removes whole names only. */
export const KNOWN_MEMBERS = [
  'X-Auth-Request-Access-Token',
  'X-Auth-Request-Redirect',
  'X-Webauth-Role',
  'X-Webauth-Orgs',
  'X-Webauth-Login',
  'Remote-Addr',
  'Remote-Role',
] as const;

/** What makes an application act for another user or on another request than the one that was checked. */
export const OVERRIDES = [
  'X-Forwarded-Access-Token',
  'X-Forwarded-Prefix',
  'X-Forwarded-Uri',
  'Forwarded',
  'X-Original-Url',
  'X-Original-Uri',
  'X-Rewrite-Url',
  'X-Script-Name',
  'X-Host',
  'X-Http-Method',
  'X-Http-Method-Override',
  'X-Method-Override',
  'X-Real-Ip',
  'True-Client-Ip',
  // CGI makes of it the proxy by which the application itself asks others (httpoxy, CVE-2016-5385).
  'Proxy',
] as const;
