/** Builds the files of deploy/grafana/dashboards, by name. `npm run dashboards` writes them. */
import { models } from './models.js';
import { pipeline } from './pipeline.js';
import { reliability } from './reliability.js';
import { training } from './training.js';

export function dashboardFiles(): Record<string, string> {
  const dashboards = { pipeline, training, models, reliability };
  return Object.fromEntries(
    Object.entries(dashboards).map(([name, builder]) => [`${name}.json`, `${JSON.stringify(builder.build(), null, 2)}\n`]),
  );
}
