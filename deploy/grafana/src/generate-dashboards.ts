/** Writes deploy/grafana/dashboards from deploy/grafana/src. Run: `npm run dashboards`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '#service/package-root.js';
import { dashboardFiles } from './dashboards.js';

for (const [name, json] of Object.entries(dashboardFiles())) writeFileSync(join(packageRoot, 'deploy/grafana/dashboards', name), json);
