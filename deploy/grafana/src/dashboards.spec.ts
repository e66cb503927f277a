import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';
import { dashboardFiles } from './dashboards.js';

interface Panel {
  title: string;
  description: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: { defaults: { unit: string; thresholds: { steps: unknown[] } } };
  targets: { refId: string; expr: string; legendFormat: string }[];
}
interface Dashboard {
  uid: string;
  title: string;
  links: { tags: string[] }[];
  tags: string[];
  panels: Panel[];
}

const folder = join(packageRoot, 'deploy/grafana/dashboards');
const files = dashboardFiles();
const dashboards = Object.values(files).map((json) => JSON.parse(json) as Dashboard);

describe('deploy/grafana/dashboards', () => {
  it('matches deploy/grafana/src', () => {
    const committed = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
    expect(committed, 'the dashboards are stale. Run: npm run dashboards').toEqual(files);
  });
});

describe.each(dashboards.map((dashboard) => [dashboard.title, dashboard] as const))('%s', (_title, { panels, links, tags }) => {
  it('links to the other dashboards', () => {
    expect(tags).toContain('undertone');
    expect(links[0]?.tags).toEqual(['undertone']);
  });

  it('gives each panel a unique title, a description, a unit and a legend', () => {
    for (const { title, description, fieldConfig, targets } of panels) {
      expect(description.length, title).toBeGreaterThan(30);
      expect(fieldConfig.defaults.unit, title).toBeTruthy();
      for (const { legendFormat } of targets) expect(legendFormat, title).toBeTruthy();
    }
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  });

  it('selects each series by job, so that other programs in the same Prometheus do not count', () => {
    for (const { expr } of panels.flatMap((panel) => panel.targets)) {
      for (const [selector, name] of expr.matchAll(/(\b[a-z]+(?:_[a-z0-9]+)+|\bup)\{[^}]*\}/g))
        expect(selector, name).toContain('job=~"$job"');
    }
  });

  it('fits its panels into rows without gaps or overlaps', () => {
    const taken = new Set<string>();
    for (const { gridPos, title } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`), `${title} lies over another panel`).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
    const width = Math.max(...[...taken].map((place) => Number(place.split(',')[0]))) + 1;
    const height = Math.max(...[...taken].map((place) => Number(place.split(',')[1]))) + 1;
    expect(taken.size, 'cells that no panel fills').toBe(width * height);
  });
});
