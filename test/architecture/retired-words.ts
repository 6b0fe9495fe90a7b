/** Words of a dialect that names once had, and what says it now; `docs/glossary.md` has the terms. */
const RETIRED_NAMES: ReadonlyArray<readonly [word: RegExp, instead: string]> = [
  [/^(?:Hear|hear)$|Heard\b/, 'OnMessage'],
  [/^(?:IGNORE|NOBODY)$/, 'ignoreMessage'],
  [/Held(?:Call|Session|Tool|User|Body)|WaitingCall/, 'SuspendedCall, SessionPool, PendingTool, BufferedBody'],
  [/^Way$|ReportedWay/, 'AuthenticationSource'],
  [/^(?:From|Asking)$|ServerLink/, 'RequestContext, RequestOptions, UpstreamLink'],
  [/(?:Session|Stateless)Front/, 'LegacySessions, modern-server'],
  [/FirstAnswer|EraKnowledge/, 'EraDetection'],
  [/ReplicaTalk|Elsewhere/, 'ReplicaChannel, RemoteCalls'],
  [/Unsaid|[Ss]aid$/, 'session-methods, publish-retry-queue'],
  [/^(?:Carrier|StandingStream|[Gg]oodbye)$/, 'MessageSink, ResumableStream, closeGrace'],
  [/^Passage$|[Tt]urnedAway/, 'Permit, recordRefusal'],
  [/^Judge$|Judge[A-Z]|Verdict/, 'what is decided: TrustDecision, CheckResult, WhoMatch'],
  [/Questions?$/, 'what is asked for: ProxyCheck, PolicyRequest, ServerRequests'],
  [/^Asked$|^Asking/, 'RequestContext, ClientRequest, RequestingClient'],
  [/^Opened(?:Attempt|Parts|Session)?$/, 'LoginTransactionResult, ResourceStack, UnsealedSession'],
  [/^(?:open)?Generation$|KeptParts/, 'ConfigSnapshot, ReusableParts'],
  [
    /Announcements$|Ended(?:Credential|Key)|LocalTraces|Exposition/,
    'PubSub, RevokedCredentials, TailSampling, MetricsText',
  ],
  [/^Conversation$/, 'Aggregate'],
];

const RETIRED_FILES =
  /(?:^|[-/])(?:said|unsaid|elsewhere|held-(?:call|session|sessions|users)|waiting-calls|first-answer|era-knowledge|server-link|session-front|stateless-front|conversation|unreached|announcements|ended-credentials|ended-keys|generation|kept-parts|opened-parts|sole-credential|attempt|request-place|local-traces|exposition|upgrades|server-questions)(?:[-.]|$)/;

/** In texts that a person reads: people and programs are named, and do something. */
export const RETIRED_TEXT =
  /\b(?:whoever|nobody|somebody|anybody|elsewhere|unsaid)\b|\bis about to end\b|\bcounts? no more\b|\bTake a folder\b|\bSends you on to\b|\blately\b|\bsays it does not\b|\bTools that wait\b|\bconfiguration is right\b|\bis no (?:address|http or https URL|URL|duration|size|JSON|YAML|map|list|number)\b|(?:['">]|^)(?:May do|At the server)(?:['"<]|$)/i;

const EXPORTED =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|function|interface|type|const|let|enum) (\w+)/gm;
const STRING = /'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;

/** @param file path below `src/` @returns one readable line for each retired word */
export function retiredWords(file: string, source: string): string[] {
  const found: string[] = [];
  if (RETIRED_FILES.test(file)) found.push(`${file}: a retired name of a file`);
  for (const [, name = ''] of source.matchAll(EXPORTED)) {
    const retired = RETIRED_NAMES.find(([word]) => word.test(name));
    if (retired !== undefined) found.push(`${file}: ${name} (now ${retired[1]})`);
  }
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/[^\n]*/g, '$1');
  for (const [text] of code.matchAll(STRING))
    if (text.includes(' ') && RETIRED_TEXT.test(text)) found.push(`${file}: ${text.slice(0, 100)}`);
  return found;
}
