import type { Json } from '../istio/manifests.ts';
import { until } from '../until.ts';
import type { ApiServer } from './api-server.ts';

/** Milliseconds. */
const ROLL_OUT = 180_000;
const PAUSE = 250;

export interface Pod {
  readonly name: string;
  readonly address: string;
}

/** Waits until all pods of a Deployment are those that it asks for, and ready. Rejects with what went wrong in its namespace. */
export async function rolledOut(api: ApiServer, namespace: string, name: string): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
  try {
    await until(
      `${namespace}/${name} is rolled out`,
      async () => {
        const { metadata, spec, status = {} } = (await api.send('GET', path)).body as Json;
        return (
          status.observedGeneration >= metadata.generation &&
          [status.updatedReplicas, status.readyReplicas, status.replicas].every((count = 0) => count === spec.replicas)
        );
      },
      ROLL_OUT,
      PAUSE,
    );
  } catch (error) {
    const events = (await api.send('GET', `/api/v1/namespaces/${namespace}/events`)).body?.items as Json[];
    const said = events
      .filter(({ type }) => type === 'Warning')
      .map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`);
    throw new Error(`${(error as Error).message}\n${said.join('\n')}`);
  }
}

/** Makes new pods in place of all of its own, a few at a time. */
export function restart(api: ApiServer, namespace: string, name: string): Promise<void> {
  const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() };
  return change(api, namespace, name, { template: { metadata: { annotations } } });
}

export const scale = (api: ApiServer, namespace: string, name: string, replicas: number): Promise<void> =>
  change(api, namespace, name, { replicas });

async function change(api: ApiServer, namespace: string, name: string, spec: object): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}?fieldManager=${Object.keys(spec)}&force=true`;
  const manifest = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace }, spec };
  const { refused } = await api.send('PATCH', path, manifest);
  if (refused !== undefined) throw new Error(refused);
  await rolledOut(api, namespace, name);
}

/** Pods that are not ending. @param selector labels, such as `app=redis` */
export async function podsOf(api: ApiServer, namespace: string, selector: string): Promise<Pod[]> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
  const pods = (await api.send('GET', path)).body?.items as Json[];
  return pods
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, status }) => ({ name: metadata.name, address: status.podIP }));
}

/** Ends once it is gone. @param grace seconds that it has to end; 0: it is killed */
export async function deletePod(api: ApiServer, namespace: string, name: string, grace?: number): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const query = grace === undefined ? '' : `?gracePeriodSeconds=${grace}`;
  const { refused } = await api.send('DELETE', path + query);
  if (refused !== undefined) throw new Error(refused);
  await until(`${name} is gone`, async () => (await api.send('GET', path)).status === 404, ROLL_OUT, PAUSE);
}
