import { startChild } from './child.ts';
import { copyFolder } from './copied-folder.ts';
import { freePorts } from './free-port.ts';
import { programOrSkip } from './programs.ts';

export const HAPROXY_SECRET = 'the secret of %proxy and relay';

interface Addresses {
  readonly edge: number;
  readonly auth: number;
  readonly upstream: number;
}

/**
 * The files of deploy/haproxy with other ports.
 *
 * @param end gets what must be ended, the last first
 */
export async function startHaproxy(
  path: string,
  { edge, auth, upstream }: Addresses,
  end: Array<() => unknown>,
  secret = HAPROXY_SECRET,
) {
  const [check] = (await freePorts(1)) as [number];
  const { folder, remove } = await copyFolder('haproxy', {
    'haproxy.cfg': [
      ['127.0.0.1:8080', `127.0.0.1:${edge}`],
      ['127.0.0.1:4180', `127.0.0.1:${auth}`],
      ['127.0.0.1:4182', `127.0.0.1:${check}`],
      ['127.0.0.1:4444', `127.0.0.1:${upstream}`],
    ],
  });
  end.unshift(remove);
  const haproxy = await startChild('haproxy', path, ['-db', '-f', 'haproxy.cfg'], {
    cwd: folder,
    env: { POSTERN_RELAY_TRUST_SECRET: secret },
    ready: `http://127.0.0.1:${edge}/_postern/jwks.json`,
  });
  end.unshift(() => haproxy.stop());
  return haproxy;
}

export async function haproxyOrSkip(context: Mocha.Context): Promise<string> {
  const program = await programOrSkip(context, 'haproxy');
  return program.kind === 'binary' ? program.path : context.skip();
}

export async function endAll(end: Array<() => unknown>) {
  for (const stop of end) await stop();
}
