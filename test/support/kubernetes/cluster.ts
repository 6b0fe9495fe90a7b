import { join } from 'node:path';
import { type ApiServer, startApiServer } from './api-server.ts';
import { startNode } from './node.ts';
import { apiServerProgramsOrSkip, nodeProgramsOrSkip } from './programs.ts';

/** As `cluster.sh` gives it to the node. */
export const NODE_ADDRESS = '10.250.0.1';

export interface Cluster extends ApiServer {
  /** What the node's programs wrote. */
  output(): string;
}

/**
 * A cluster of one node. It takes minutes and needs root and namespaces of its own, so it is for whoever asks by
 * `npm run test:cluster`.
 */
export async function clusterOrSkip(context: Mocha.Context): Promise<Cluster> {
  const folder = process.env.POSTERN_TEST_CLUSTER;
  if (folder === undefined) {
    process.stderr.write('  skipped: a cluster is for `npm run test:cluster`\n');
    return context.skip();
  }
  const api = await startApiServer(await apiServerProgramsOrSkip(context), NODE_ADDRESS);
  try {
    const place = { folder, address: NODE_ADDRESS, images: join(folder, 'images.tar') };
    const node = await startNode(await nodeProgramsOrSkip(context), api, place);
    return {
      ...api,
      output: node.output,
      stop: async () => {
        await node.stop();
        await api.stop();
      },
    };
  } catch (error) {
    await api.stop();
    throw error;
  }
}
