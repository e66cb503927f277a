/**
 * A Vega-Lite chart as SVG text that stands by itself: light, for print, for the colour-blind (Okabe and Ito's palette, and
 * never colour alone), with a title and a description for those who do not see it. No canvas and no browser are needed.
 */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** Of Vega-Lite, without its data's size and its theme. */
export type ChartSpec = Record<string, unknown>;

/** Okabe and Ito, "Color universal design", 2008; without its yellow, which paper swallows. Neighbours differ in lightness too. */
export const palette = ['#0072B2', '#D55E00', '#56B4E9', '#E69F00', '#009E73', '#CC79A7', '#000000'];
const shapes = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down', 'triangle-right'];
const dashes = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 2, 2, 2],
  [4, 4],
  [1, 3],
  [10, 4],
];
/**
 * A colour and a dash (or a shape) for each of the names: after seven the colours come again, with other dashes.
 * @returns scales of Vega-Lite
 */
export function scalesOf(names: readonly string[]): Record<'color' | 'dash' | 'shape', ChartSpec> {
  const turned = <Look>(looks: readonly Look[]): Look[] =>
    names.map((_, index) => looks[(index + Math.floor(index / palette.length)) % looks.length] as Look);
  const color = { domain: names, range: names.map((_, index) => palette[index % palette.length]) };
  return { color, dash: { domain: names, range: turned(dashes) }, shape: { domain: names, range: turned(shapes) } };
}

export const ink = '#222222';
export const quiet = '#767676';

/** Of the text that the page is set in, so that charts and tables look alike. */
const font = 'Helvetica, Arial, "Liberation Sans", sans-serif';

const theme = {
  background: null,
  font,
  padding: 4,
  view: { stroke: null },
  axis: {
    labelFontSize: 11,
    labelFlush: false,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    titleColor: ink,
    labelColor: ink,
    domainColor: '#888888',
    tickColor: '#888888',
    tickSize: 4,
    gridColor: '#e4e4e4',
    labelLimit: 260,
  },
  axisY: { titlePadding: 9 },
  // A label at the end of an axis stays inside: what sticks out would lift the header of its panel above the others'.
  axisYQuantitative: { labelFlush: 6 },
  header: { titleFontSize: 11, labelFontSize: 12, labelFontWeight: 'bold', labelColor: ink, labelLimit: 320, labelPadding: 6 },
  legend: { labelFontSize: 11, titleFontSize: 11, titleFontWeight: 'normal', labelColor: ink, symbolSize: 70, labelLimit: 240 },
  title: { fontSize: 12, fontWeight: 'bold', anchor: 'start', color: ink },
  text: { fontSize: 11, color: ink },
};

/** As the header of a facet: names break into two lines where a panel is too narrow for them. */
export const panelHeader = (letters = 26): ChartSpec => ({ title: null, labelExpr: brokenAt(letters), labelLineHeight: 14 });

/** As a Vega expression: at the last blank before the limit. */
function brokenAt(letters: number): string {
  const blank = `lastindexof(slice(datum.label, 0, ${letters}), ' ')`;
  return `length(datum.label) > ${letters} && ${blank} > 0 ? [slice(datum.label, 0, ${blank}), slice(datum.label, ${blank} + 1)] : datum.label`;
}

export interface ChartWords {
  /** Unique on its page; only letters, digits and hyphens. */
  id: string;
  title: string;
  /** What is to be seen, in words. */
  description: string;
}

export async function drawChart(spec: ChartSpec, words: ChartWords): Promise<string> {
  const whole = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', config: theme, ...spec } as unknown as TopLevelSpec;
  const quietLogger = {
    level: () => quietLogger,
    error: throwIt,
    warn: () => quietLogger,
    info: () => quietLogger,
    debug: () => quietLogger,
  };
  const view = new vega.View(vega.parse(compile(whole, { logger: quietLogger }).spec), { renderer: 'none' });
  try {
    return standAlone(await view.toSVG(), words);
  } finally {
    view.finalize();
  }
}

/**
 * Vega measures text on a canvas, and without one takes each letter for 0.8 of the font's size, which is far too much: axes
 * and legends stand apart from what they belong to. These are the widths of a wide font (DejaVu Sans), so that nothing overlaps.
 */
const widthOfLetter = { normal: 0.6, bold: 0.65 };

interface MeasuredText {
  fontSize?: number;
  fontWeight?: string | number;
}

const { textMetrics } = vega as unknown as { textMetrics: { width: (text: MeasuredText, letters: unknown) => number } };
textMetrics.width = ({ fontSize = 11, fontWeight }, letters) =>
  Math.round(widthOfLetter[fontWeight === 'bold' ? 'bold' : 'normal'] * fontSize * String(letters ?? '').length);

function throwIt(...why: unknown[]): never {
  throw new Error(why.join(' '));
}

/** Names it, lets it shrink with its column, and keeps its ids from meeting those of other charts on the page. */
function standAlone(svg: string, { id, title, description }: ChartWords): string {
  const named = `<title id="${id}-title">${escapeXml(title)}</title><desc id="${id}-desc">${escapeXml(description)}</desc>`;
  return svg
    .replace(/ xmlns:xlink="[^"]*"/, '')
    .replaceAll(/ (?:role|aria-roledescription|aria-label|aria-hidden)="[^"]*"/g, '')
    .replaceAll(/ id="([^"]+)"/g, ` id="${id}-$1"`)
    .replaceAll(/url\(#([^)]+)\)/g, `url(#${id}-$1)`)
    .replace(/^<svg ([^>]*)>/, `<svg $1 role="img" aria-labelledby="${id}-title ${id}-desc">${named}`);
}

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
