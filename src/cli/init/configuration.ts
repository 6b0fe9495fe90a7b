import {
  type Document,
  isMap,
  isScalar,
  type Pair,
  parseAllDocuments,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { ANYONE_SIGNED_IN } from '../../platform/config/anyone-signed-in.ts';
import { SCHEMA_URL } from '../../platform/config/schema-url.ts';
import type { Answers } from './answers.ts';
import { PROVIDERS, PROXIES, type ProviderChoice, type ProxyChoice } from './choices.ts';
import { deployed } from './deployed.ts';

/** The file with the secret of the client, beside the configuration. */
export const CLIENT_SECRET = 'client-secret';

/**
 * The configuration of both processes: that of the proxy's folder in `deploy/`, with the provider of another, and with what was
 * answered.
 */
export function configurationText(answers: Answers, hasSecret: boolean): string {
  const { proxy, provider, publicUrl, servers } = answers;
  const document = parseDocument(templateOf(proxy));
  document.set('publicUrl', publicUrl);
  const auth = document.get('auth') as YAMLMap;
  const settings = providerSettings(answers, hasSecret);
  auth.set('providers', settings.providers);
  const rules = auth.items.findIndex((pair) => keyOf(pair) === 'rules');
  auth.items.splice(rules, 0, settings.broker);
  const node = (value: object) => document.createNode(value, { aliasDuplicateObjects: false });
  const ruleNodes = node([...servers.keys()].map((name) => ruleFor(name, answers))) as unknown as YAMLSeq<YAMLMap>;
  explainMembers(ruleNodes, answers, settings.note);
  auth.set('rules', ruleNodes);
  document.setIn(['relay', 'servers'], node(Object.fromEntries(servers)));
  document.setIn(['relay', 'policy'], node({ rules: [{ who: membersOf(answers) ?? ANYONE_SIGNED_IN }] }));
  for (const part of [
    auth.get('rules'),
    document.getIn(['relay', 'servers']),
    document.getIn(['relay', 'policy', 'rules']),
  ])
    onOneLine(part as YAMLSeq | YAMLMap);
  const { title } = PROXIES[proxy] as ProxyChoice;
  introduce(document, [
    `yaml-language-server: $schema=${SCHEMA_URL}`,
    `Postern behind ${title}, with ${PROVIDERS[provider]?.title}: written by \`postern init\`. Check it in this folder: \`postern check\`.`,
    ...(PROXIES[proxy]?.start === undefined
      ? []
      : ['Secrets come from the environment, which .env has: `set -a; . ./.env; set +a`.']),
  ]);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** What the folder of the proxy has; Istio's is in the object that holds it. */
function templateOf(proxy: string): string {
  if (PROXIES[proxy]?.start !== undefined) return deployed(`${proxy}/postern.yaml`);
  const objects = parseAllDocuments(deployed(`${proxy}/custom.yaml`)) as Document[];
  const holder = objects.find((object) => object.get('kind') === 'ConfigMap');
  return String(holder?.getIn(['data', 'postern.yaml']));
}

/** As the provider's folder has them, with the comments that are true for everybody. */
function providerSettings(answers: Answers, hasSecret: boolean) {
  const { provider, issuer, clientId, members, roles } = answers;
  const { folder, groups } = PROVIDERS[provider] as ProviderChoice;
  const document = parseDocument(deployed(`${folder ?? 'keycloak'}/postern.yaml`));
  const entry = document.getIn(['auth', 'providers', 0]) as YAMLMap;
  entry.set('id', provider);
  if (issuer !== undefined) replaceIssuer(entry, issuer);
  entry.set('clientId', clientId);
  if (hasSecret) entry.set('clientSecretPath', CLIENT_SECRET);
  else entry.delete('clientSecretPath');
  if (!groups) entry.set('allowedDomains', document.createNode(members));
  if (roles) entry.setIn(['claims', 'groups'], 'roles');
  const broker = (document.get('auth') as YAMLMap).items.find((pair) => keyOf(pair) === 'broker') as Pair;
  // A comment after the last key counts as one of the entry, and its last line speaks of the broker.
  const notes = (entry.comment ?? '').split('\n');
  if (isScalar(broker.key)) broker.key.commentBefore ??= notes.pop() ?? null;
  entry.comment = folder === undefined ? null : notes.join('\n') || null;
  const allow = document.getIn(['auth', 'rules', 0, 'allow']) as YAMLMap;
  // Of a map's first key it counts as one of the map.
  return { providers: document.getIn(['auth', 'providers']), broker, note: allow.commentBefore ?? undefined };
}

/** @param note what the provider's folder says of its members */
function explainMembers({ items: [first] }: YAMLSeq<YAMLMap>, { members, roles }: Answers, note?: string): void {
  const key = first?.items.find((pair) => keyOf(pair) === 'allow')?.key;
  if (members === ANYONE_SIGNED_IN || !isScalar(key)) return;
  key.commentBefore = roles
    ? ' App roles of the application, by their values: only its administrators assign them.'
    : (note ?? null);
}

/** What its comment says is true of the example alone. */
function replaceIssuer(entry: YAMLMap, issuer: string): void {
  entry.set('issuer', issuer);
  const key = entry.items.find((pair) => keyOf(pair) === 'issuer')?.key;
  if (isScalar(key)) key.commentBefore = null;
}

/** @returns undefined where everybody of the provider is meant */
function membersOf({ provider, members }: Answers): object | string | undefined {
  if (members === ANYONE_SIGNED_IN) return members;
  return PROVIDERS[provider]?.groups ? { groups: members } : undefined;
}

function ruleFor(name: string, answers: Answers): object {
  const allow = membersOf(answers) ?? { providers: [answers.provider] };
  return { match: { path: `/servers/${name}/**` }, allow, scopes: { default: ['mcp:use'] } };
}

/** Each server on one line, and each value of a rule. */
function onOneLine({ items }: YAMLSeq | YAMLMap): void {
  const values = items.flatMap((item) => (isMap(item) ? item.items.map(({ value }) => value) : (item as Pair).value));
  for (const value of values) if (isMap(value)) value.flow = true;
}

const keyOf = ({ key }: Pair) => (isScalar(key) ? key.value : key);

/** In the place of what the file says of itself at its head. */
function introduce(document: Document, lines: readonly string[]): void {
  const map = document.contents as YAMLMap;
  const [first] = map.items;
  if (!isScalar(first?.key)) return;
  const about = (first.key.commentBefore ?? '').split('\n\n').at(-1);
  first.key.commentBefore = `${lines.map((line) => ` ${line}`).join('\n')}\n\n${about}`;
}
