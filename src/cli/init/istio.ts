import { type Document, isMap, parseAllDocuments, type YAMLMap, type YAMLSeq } from 'yaml';
import { IMAGE } from './compose.ts';
import { CLIENT_SECRET } from './configuration.ts';

/** The host that Istio's folder in `deploy/` has in the place of one's own, and the secret with its certificate. */
const EXAMPLE = /mcp([.-])example\1com/g;

/**
 * An object of Istio's folder for one's own host. The configuration is a file here, which `kubectl create configmap` takes.
 *
 * @param options.hasSecret whether the processes read a client secret beside it
 * @param options.hasPrograms whether the relay starts servers, which it must be able to fetch and run
 */
export function istioText(
  text: string,
  publicUrl: string,
  { hasSecret, hasPrograms }: { readonly hasSecret: boolean; readonly hasPrograms: boolean },
): string {
  const { hostname } = new URL(publicUrl);
  const own = text
    .replace(EXAMPLE, (_, separator) => hostname.replaceAll('.', separator))
    .replace(/\bimage: postern:\S+/g, `image: ${IMAGE}`);
  const documents = parseAllDocuments(own) as Document[];
  const kept = documents.filter((document) => document.get('kind') !== 'ConfigMap');
  if (hasSecret) for (const document of kept) if (document.get('kind') === 'Deployment') mountSecret(document);
  if (hasPrograms) for (const document of kept) if (isRelay(document)) mountPrograms(document);
  return kept.map((document) => document.toString({ lineWidth: 0 })).join('');
}

function isRelay(document: Document): boolean {
  return document.get('kind') === 'Deployment' && document.getIn(['metadata', 'name']) === 'relay';
}

/** As the chart's `programs.enabled` does: a home that programs may write to and run from, and somebody who reaps them. */
function mountPrograms(document: Document): void {
  const pod = ['spec', 'template', 'spec'];
  document.setIn([...pod, 'shareProcessNamespace'], true);
  document.addIn([...pod, 'volumes'], document.createNode({ name: 'programs', emptyDir: { sizeLimit: '1Gi' } }));
  const container = [...pod, 'containers', 0];
  document.addIn([...container, 'volumeMounts'], document.createNode({ name: 'programs', mountPath: '/tmp' }));
  document.setIn([...container, 'env'], document.createNode([{ name: 'HOME', value: '/tmp' }]));
}

function mountSecret(document: Document): void {
  const pod = document.getIn(['spec', 'template', 'spec']) as YAMLMap;
  const volume = (pod.get('volumes') as YAMLSeq).items[0];
  const container = (pod.get('containers') as YAMLSeq).items[0];
  if (!isMap(volume) || !isMap(container)) return;
  volume.delete('configMap');
  const sources = [
    { configMap: { name: 'postern' } },
    { secret: { name: 'postern', items: [{ key: CLIENT_SECRET, path: CLIENT_SECRET }] } },
  ];
  volume.set('projected', document.createNode({ sources }));
  volume.flow = false;
  // Its path is written from the folder with the configuration.
  container.set('workingDir', '/etc/postern');
  container.set('command', document.createNode(['node', '/app/bin/postern.js']));
}
