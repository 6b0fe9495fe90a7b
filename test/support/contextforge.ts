import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SignJWT } from 'jose';
import { startChild } from './child.ts';
import { freePorts } from './free-port.ts';
import { pythonOrSkip } from './python.ts';

/** The version whose image `deploy/contextforge` names. */
const PACKAGE = 'mcp-contextforge-gateway==1.0.7';
/** Milliseconds: it has a hundred dependencies. */
const INSTALL = 600_000;
/** Milliseconds until it serves: it makes its tables first. */
const START = 120_000;
export const CONTEXTFORGE_ADMIN = 'admin@contextforge.invalid';

/** The real ContextForge, from PyPI; a skipped suite where it cannot be had, in CI a failure. */
export async function contextForgeOrSkip(context: Mocha.Context): Promise<{ program: string; python: string }> {
  const python = await pythonOrSkip(context, 'contextforge', [PACKAGE], INSTALL);
  return { program: join(dirname(python), 'mcpgateway'), python };
}

export interface ContextForge {
  readonly url: string;
  /** Its API, as an administrator. Rejects where the answer is no 2xx. */
  api(method: string, path: string, body?: object): Promise<unknown>;
  /** A token of its own. @param email of somebody in its database */
  token(email: string): Promise<string>;
  stop(): Promise<void>;
}

/** Believes the address in `X-Authenticated-Email`, as `deploy/contextforge` has it, and its own tokens. */
export async function startContextForge(context: Mocha.Context): Promise<ContextForge> {
  const { program } = await contextForgeOrSkip(context);
  const [port] = (await freePorts(1)) as [number];
  const folder = await mkdtemp(join(tmpdir(), 'postern-contextforge-'));
  const key = randomBytes(48).toString('base64');
  const url = `http://127.0.0.1:${port}`;
  const child = await startChild('contextforge', program, ['--host', '127.0.0.1', '--port', String(port)], {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: `sqlite:///${folder}/contextforge.db`,
      JWT_SECRET_KEY: key,
      AUTH_ENCRYPTION_SECRET: randomBytes(48).toString('base64'),
      PLATFORM_ADMIN_EMAIL: CONTEXTFORGE_ADMIN,
      PLATFORM_ADMIN_PASSWORD: randomBytes(24).toString('base64'),
      AUTH_REQUIRED: 'true',
      MCP_CLIENT_AUTH_ENABLED: 'false',
      TRUST_PROXY_AUTH: 'true',
      TRUST_PROXY_AUTH_DANGEROUSLY: 'true',
      PROXY_USER_HEADER: 'X-Authenticated-Email',
      SSRF_ALLOW_LOCALHOST: 'true',
    },
    ready: `${url}/health`,
    readyOk: true,
    patience: START,
  });
  return {
    url,
    api: async (method, path, body) => {
      const answer = await fetch(url + path, {
        method,
        headers: {
          'X-Authenticated-Email': CONTEXTFORGE_ADMIN,
          Authorization: 'Bearer none',
          'Content-Type': 'application/json',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    token: (email) =>
      new SignJWT({ sub: email, username: email, token_use: 'session', jti: randomBytes(16).toString('hex') })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer('mcpgateway')
        .setAudience('mcpgateway-api')
        .setIssuedAt()
        .setExpirationTime('10m')
        .sign(new TextEncoder().encode(key)),
    stop: async () => {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
