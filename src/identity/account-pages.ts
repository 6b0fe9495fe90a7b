/** Pages of forward-auth that every page of either process leads to, below `publicUrl`. */
export const ACCOUNT_PAGES = {
  home: '/_postern/home',
  sessions: '/_postern/sessions',
  signOut: '/_postern/sign-out',
  signIn: '/_postern/sign-in',
} as const;
