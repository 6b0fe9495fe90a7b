import { type Document, isMap, parseAllDocuments, type YAMLMap, type YAMLSeq } from 'yaml';
import { IMAGE } from './compose.ts';
import { CLIENT_SECRET } from './configuration.ts';

/** The host that Istio's folder in `deploy/` has in the place of one's own, and the secret with its certificate. */
const EXAMPLE = /mcp([.-])example\1com/g;

/**
 * An object of Istio's folder for one's own host. The configuration is a file here, which `kubectl create configmap` takes.
 *
 * @param hasSecret whether the processes read a client secret beside it
 */
export function istioText(text: string, publicUrl: string, hasSecret: boolean): string {
  const { hostname } = new URL(publicUrl);
  const own = text
    .replace(EXAMPLE, (_, separator) => hostname.replaceAll('.', separator))
    .replace(/\bimage: postern:\S+/g, `image: ${IMAGE}`);
  const documents = parseAllDocuments(own) as Document[];
  const kept = documents.filter((document) => document.get('kind') !== 'ConfigMap');
  if (hasSecret) for (const document of kept) if (document.get('kind') === 'Deployment') mountSecret(document);
  return kept.map((document) => document.toString({ lineWidth: 0 })).join('');
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
