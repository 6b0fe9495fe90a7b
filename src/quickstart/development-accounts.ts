/** A person whom the development identity provider knows. The password is the name. */
export interface DevelopmentAccount {
  readonly name: string;
  readonly displayName: string;
  readonly email: string;
  readonly groups: readonly string[];
}

const ACCOUNTS: readonly DevelopmentAccount[] = [
  { name: 'alice', displayName: 'Alice Archer', email: 'alice@example.com', groups: ['engineering', 'admins'] },
  { name: 'bob', displayName: 'Bob Baker', email: 'bob@example.com', groups: ['engineering'] },
  { name: 'carol', displayName: 'Carol Cooper', email: 'carol@example.com', groups: ['sales'] },
];

/** What the provider can put into an access token. */
export const DEVELOPMENT_SCOPES = [
  'openid',
  'offline_access',
  'profile',
  'email',
  'groups',
  'mcp:use',
  'mcp:admin',
] as const;

export function findAccountByName(name: string): DevelopmentAccount | undefined {
  return ACCOUNTS.find((account) => account.name === name);
}

/** The passwords are public: this keeps nobody out and pretends nothing else. */
export function signIn(name: unknown, password: unknown): DevelopmentAccount | undefined {
  const account = typeof name === 'string' ? findAccountByName(name) : undefined;
  return account !== undefined && password === account.name ? account : undefined;
}

/** Only administrators are granted `mcp:admin`. */
export function isEntitled(account: DevelopmentAccount, scope: string): boolean {
  return scope !== 'mcp:admin' || account.groups.includes('admins');
}
