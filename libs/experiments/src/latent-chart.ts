/**
 * Draws the latent codes z of utterances in two dimensions by UMAP (McInnes et al., 2018): one map, drawn three times, coloured
 * by emotion, speaker and gender. UMAP is seeded, so the same codes give the same map.
 *
 * Only nearness has a meaning in such a map. Distances between far groups and the sizes of groups have none.
 */
import { UMAP } from 'umap-js';
import { seededRandom } from '#evaluation/seeded-random.js';
import { type ChartSpec, quiet, scalesOf } from './draw-chart.js';
import type { LatentSample } from './experiment-results.js';

export const fewestCodes = 10;
const mostCodes = 600;
const neighbours = 15;
/** Colour and shape can distinguish this many groups. Further speakers are grey. */
const mostGroups = 14;
const unknown = 'unknown';
const others = 'others';

/** @returns [n, 2] for at most 600 evenly spaced samples; null for fewer than ten */
export function mapOfCodes(samples: readonly LatentSample[]): { sample: LatentSample; x: number; y: number }[] | null {
  const every = Math.ceil(samples.length / mostCodes);
  const drawn = samples.filter((_, index) => index % every === 0);
  if (drawn.length < fewestCodes) return null;
  const umap = new UMAP({ nNeighbors: Math.min(neighbours, drawn.length - 1), minDist: 0.15, random: seededRandom(1) });
  const places = umap.fit(drawn.map(({ code }) => Array.from(code)));
  return drawn.map((sample, index) => ({ sample, x: places[index]?.[0] as number, y: places[index]?.[1] as number }));
}

export function latentChart(map: NonNullable<ReturnType<typeof mapOfCodes>>): ChartSpec {
  const speakers = [...new Set(map.map(({ sample }) => sample.speakerId))].sort();
  const shown = new Set(speakers.slice(0, speakers.length > mostGroups ? mostGroups - 1 : mostGroups));
  const values = map.map(({ sample, x, y }) => ({
    x,
    y,
    emotion: sample.emotion ?? unknown,
    gender: sample.gender ?? unknown,
    speaker: sample.speakerId === '' ? unknown : shown.has(sample.speakerId) ? sample.speakerId : others,
  }));
  return {
    data: { values },
    hconcat: [
      panel('emotion', groupsOf(values, 'emotion')),
      panel('gender', groupsOf(values, 'gender')),
      panel('speaker', groupsOf(values, 'speaker')),
    ],
    spacing: 22,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
  };
}

function groupsOf<Key extends string>(values: readonly Record<Key, string>[], key: Key): string[] {
  const last = (name: string): number => (name === unknown || name === others ? 1 : 0);
  return [...new Set(values.map((each) => each[key]))].sort((a, b) => last(a) - last(b) || a.localeCompare(b, 'en', { numeric: true }));
}

function panel(field: string, groups: readonly string[]): ChartSpec {
  const isRest = (name: string): boolean => name === unknown || name === others;
  const scales = scalesOf(groups);
  const colours = scales.color['range'] as string[];
  const colour = (name: string, index: number): string => (isRest(name) ? '#b8b8b8' : (colours[index] as string));
  const legend = { title: null, orient: 'bottom', columns: groups.length > 6 ? 3 : 2, labelLimit: 90 };
  return {
    title: { text: `by ${field}`, anchor: 'start' },
    width: 205,
    height: 205,
    view: { stroke: '#cccccc' },
    mark: { type: 'point', filled: true, size: 26, opacity: 0.9, strokeWidth: 0.3, stroke: quiet },
    encoding: {
      x: { field: 'x', type: 'quantitative', scale: { zero: false, padding: 6 }, axis: null },
      y: { field: 'y', type: 'quantitative', scale: { zero: false, padding: 6 }, axis: null },
      color: { field, type: 'nominal', scale: { domain: groups, range: groups.map(colour) }, legend },
      shape: { field, type: 'nominal', scale: scales.shape, legend },
    },
  };
}
