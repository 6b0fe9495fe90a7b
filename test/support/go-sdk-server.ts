import { spawn } from 'node:child_process';
import { freePorts } from './free-port.ts';
import { goProgramOrSkip } from './go-program.ts';
import { until } from './until.ts';

const MODULE = 'github.com/modelcontextprotocol/go-sdk/conformance/everything-server@v1.8.0';

/** The path of the server that the Go SDK's own conformance tests run. A skipped suite where it cannot be built, in CI a failure. */
export function goSdkServer(context: Mocha.Context): Promise<string> {
  return goProgramOrSkip(context, 'everything-server', MODULE);
}

/** @param stateless as 2026-07-28 wants it; the SDK's own default has sessions */
export async function startGoSdkServer(path: string, { stateless }: { stateless: boolean }) {
  const [port = 0] = await freePorts(1);
  const child = spawn(path, ['-http', `127.0.0.1:${port}`, `-stateless=${stateless}`], { stdio: 'ignore' });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const url = `http://127.0.0.1:${port}/`;
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  await until('the server listens', () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  ).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { url, stop };
}
