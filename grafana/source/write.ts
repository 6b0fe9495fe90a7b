import { mkdirSync, writeFileSync } from 'node:fs';
import { buildDashboard } from './build.ts';
import { DASHBOARDS } from './dashboards.ts';

const FOLDER = new URL('../dashboards/', import.meta.url);

/** The file of a dashboard, as it must stand in `grafana/dashboards`. */
mkdirSync(FOLDER, { recursive: true });
for (const dashboard of DASHBOARDS)
  writeFileSync(new URL(`${dashboard.uid}.json`, FOLDER), `${JSON.stringify(buildDashboard(dashboard), null, 2)}\n`);
