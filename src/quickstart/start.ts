import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SIGN_IN_PATHS } from '../forward-auth/decision/own-endpoints.ts';
import { drainTimes } from '../platform/config/drain-schema.ts';
import { parseConfig } from '../platform/config/load.ts';
import type { PagesConfig } from '../platform/config/pages-schema.ts';
import { asPresent } from '../platform/config/present-sections.ts';
import type { Logger } from '../platform/log.ts';
import { openBranding } from '../platform/pages/branding.ts';
import { PageSite } from '../platform/pages/page.ts';
import { type ServiceProcess, startServiceProcess } from './child-process.ts';
import { createClockTools } from './clock-tools.ts';
import {
  environmentWithoutSettings,
  type QuickstartAddresses,
  quickstartConfiguration,
  wantsAuditOutput,
} from './configuration.ts';
import { auditLine, decisionLine } from './decision-line.ts';
import { startDevelopmentIdp } from './development-idp.ts';
import { startEdge } from './edge.ts';
import { startExampleServer } from './example-server.ts';
import { createExampleTools } from './example-tools.ts';
import type { QuickstartPorts } from './ports.ts';

export interface QuickstartOptions {
  readonly ports: QuickstartPorts;
  /** What the user's file and environment say; it has been checked. */
  readonly userInput: unknown;
  /** Of it: how pages look. */
  readonly pages: PagesConfig;
  readonly env: NodeJS.ProcessEnv;
  /** How to start our own command as a process: node, its flags, the entry file. */
  readonly program: readonly string[];
  readonly log: Logger;
  /** Ends a start that is not complete: it throws then. */
  readonly signal: AbortSignal;
  /** Gets a line for each decision of both processes; absent: nobody asks. */
  readonly onDecision: ((line: string) => void) | undefined;
}

export interface Quickstart {
  readonly publicUrl: string;
  readonly issuer: string;
  /** Names of the MCP servers. */
  readonly servers: readonly string[];
  /** Whether all are offered as one, at `/mcp`. */
  readonly aggregate: boolean;
  /** Settles when a process that should run has ended, with a sentence that says which. */
  readonly failed: Promise<string>;
  close(): Promise<void>;
  /** Ends the processes at once, for a second Ctrl-C. */
  kill(): void;
}

/** Milliseconds that a process may take beyond the drain time before it is killed. */
const STOP_GRACE = 3000;

/**
 * Starts everything on loopback: example servers, development identity provider and edge in this process, forward-auth and
 * relay as processes of their own.
 *
 * @throws PosternError where a port is taken or a process does not start; nothing is left running then
 */
export async function startQuickstart(options: QuickstartOptions): Promise<Quickstart> {
  const { ports, userInput, log } = options;
  const makeSecret = () => randomBytes(32).toString('base64url');
  const secret = makeSecret();
  const secrets = { proxy: secret, operator: makeSecret() };
  const processes: ServiceProcess[] = [];
  const closers: Array<(grace: number) => Promise<void>> = [];
  let grace = STOP_GRACE;

  const close = async () => {
    const all = processes.map((service) => service.stop(grace + STOP_GRACE));
    await Promise.allSettled([...all, ...closers.map((closer) => closer(grace))]);
  };
  const kill = () => {
    for (const service of processes) service.kill();
  };

  try {
    const example = await startExampleServer({ host: '127.0.0.1', port: ports.exampleServer }, createExampleTools);
    closers.push(example.close);
    const clock = await startExampleServer({ host: '127.0.0.1', port: ports.clockServer }, createClockTools);
    closers.push(clock.close);
    const secretHeader = 'X-Postern-Proxy-Secret';
    const site = new PageSite(SIGN_IN_PATHS.assets, openBranding(options.pages));
    const edge = await startEdge({ host: '127.0.0.1', port: ports.edge }, { secretHeader, secret }, { site, log });
    closers.push(edge.close);
    const publicUrl = `http://127.0.0.1:${edge.port}`;
    const idp = await startDevelopmentIdp(ports.identityProvider, publicUrl);
    closers.push(idp.close);

    const addresses: QuickstartAddresses = {
      publicUrl,
      issuer: idp.issuer,
      exampleUrl: example.url,
      clockUrl: clock.url,
      forwardAuthPort: ports.forwardAuth,
      forwardAuthInternalPort: ports.forwardAuthInternal,
      relayPort: ports.relay,
      relayInternalPort: ports.relayInternal,
      forwardAuthUrl: undefined,
    };
    const onLine = options.onDecision && serviceLines(options.onDecision, wantsAuditOutput(userInput));
    const start = async (name: string, command: string, known: QuickstartAddresses) => {
      const configuration = quickstartConfiguration(userInput, known, secrets, onLine !== undefined);
      grace = drainTimes(parseConfig(configuration).drain).total;
      const service = await withConfigurationFile(configuration, (file) =>
        startServiceProcess(
          name,
          options.program,
          [command, '--config', file],
          environmentWithoutSettings(options.env),
          { signal: options.signal, onLine },
        ),
      );
      processes.push(service);
      return service.ready;
    };
    const forwardAuth = await start('forward-auth', 'auth', addresses);
    const forwardAuthPort = forwardAuth.port;
    const forwardAuthUrl = `http://127.0.0.1:${forwardAuthPort}`;
    const forwardAuthInternalPort = forwardAuth.internalPort;
    const complete = { ...addresses, forwardAuthUrl, forwardAuthInternalPort };
    const { port: relayPort } = await start('relay', 'relay', complete);
    edge.connect({ forwardAuthPort, relayPort });

    const failed = Promise.race(
      processes.map(
        async ({ name, ended }) => `${name} ended unexpectedly (${await ended}); everything else is ended too`,
      ),
    );
    const { relay } = parseConfig(quickstartConfiguration(userInput, complete, secrets));
    const servers = Object.keys(relay.servers);
    return { publicUrl, issuer: idp.issuer, servers, aggregate: relay.aggregate !== undefined, failed, close, kill };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Decisions go to who asked for them, everything else to standard error, as the audit log does if the user wants it. */
function serviceLines(onDecision: (line: string) => void, auditToo: boolean): (line: string) => void {
  return (text) => {
    const audit = auditLine(text);
    const decision = audit && decisionLine(audit);
    if (decision !== undefined) onDecision(decision);
    if (audit === undefined || auditToo) process.stderr.write(`${text}\n`);
  };
}

/**
 * The file holds the proxy's secret: readable by its owner only, and gone as soon as the process has read it, so that not
 * even a killed quickstart leaves one behind.
 */
async function withConfigurationFile<T>(configuration: object, use: (file: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'postern-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const file = join(directory, 'postern.yaml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(asPresent(configuration)), { mode: 0o600, flag: 'wx' });
    return await use(file);
  } finally {
    remove();
    process.off('exit', remove);
  }
}
