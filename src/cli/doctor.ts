import type { LoadedConfig } from '../platform/config/load.ts';
import { createOutboundFetch } from '../platform/outbound/connections.ts';
import { type Command, EXIT_CONFIG, optionalText, type Terminal } from './command.ts';
import { complaints, type Finding, findingOf, findingText, ok, type PlacedFinding, placed } from './doctor/finding.ts';
import { inspect, loadUsable, placedProblems } from './doctor/inspection.ts';
import { runningDifferences } from './running-configuration.ts';

export const doctor: Command = {
  summary: 'ask everything that the configuration names, and say what is wrong and how to mend it',
  usage: 'postern doctor [--config FILE] [--json]',
  help: `\`check\`, and then the world: each provider's discovery, keys and clock, our client's secret and redirect address, Redis with its
persistence and eviction, \`initialize\` of each MCP server, ports, certificates, proxies. Changes nothing. One line a finding:
ok, warn or fail, the key with its line, the cause and the fix. Run it where the processes run.

  --json   one JSON object a line: level, key, cause, fix, file, line

Exit code 0 where nothing fails, with warnings or without; 1 where something does; 78 where the configuration cannot be used.`,
  options: { json: { type: 'boolean' } },
  positionals: [0, 0],
  async run(line, terminal) {
    const print = (findings: readonly PlacedFinding[]) => show(findings, line.values.json === true, terminal);
    const path = optionalText(line, 'config');
    let loaded: LoadedConfig | undefined;
    const wrong = await complaints(
      () => {
        loaded = loadUsable(path, terminal.env);
      },
      'fail',
      '`postern config reference` says what may stand there',
    );
    if (loaded === undefined || wrong.length > 0) {
      print(placedProblems(wrong, path, terminal.env));
      return EXIT_CONFIG;
    }
    const findings = await examine(loaded, terminal.env);
    print(findings);
    return findings.some(({ level }) => level === 'fail') ? 1 : 0;
  },
};

async function examine(loaded: LoadedConfig, env: Terminal['env']): Promise<PlacedFinding[]> {
  const { config } = loaded;
  const [offline, differences, ...online] = await Promise.all([
    inspect(loaded, env),
    runningDifferences(loaded),
    ...(await examinations(config, env)),
  ]);
  const said = [...loaded.warnings, ...differences.warnings].map((text) => findingOf('warn', text));
  return [
    ok('configuration', `${loaded.file ?? 'the environment'} can be used`),
    ...[...loaded.notes, ...differences.notes].map((text) => findingOf('ok', text)),
    ...said,
    ...offline,
    ...online.flat().map((finding) => placed(finding, loaded)),
  ];
}

/** Loaded when they are needed: `--help` of another command shall not wait for clients of everything. */
async function examinations(config: LoadedConfig['config'], env: Terminal['env']): Promise<Array<Promise<Finding[]>>> {
  const { providerFindings } = await import('./doctor/providers.ts');
  const { redisFindings } = await import('./doctor/redis.ts');
  const { serverFindings } = await import('./doctor/servers.ts');
  const { certificateFindings, shownCertificateFindings } = await import('./doctor/certificates.ts');
  const { portFindings, reachFindings } = await import('./doctor/places.ts');
  const fetcher = createOutboundFetch();
  return [
    portFindings(config),
    Promise.resolve(certificateFindings(config)),
    shownCertificateFindings(config, env),
    redisFindings(config.redis),
    providerFindings(config, fetcher),
    serverFindings(config.relay, env),
    reachFindings(config, env, fetcher),
  ];
}

function show(findings: readonly PlacedFinding[], json: boolean, terminal: Terminal): void {
  for (const finding of findings)
    terminal.print(json ? JSON.stringify(finding) : `${finding.level.padEnd(4)}  ${findingText(finding)}`);
  if (json) return;
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  terminal.print(`${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`);
}
