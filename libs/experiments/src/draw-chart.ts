/**
 * Draws a Vega-Lite chart as self-contained SVG text. The chart suits print and colour-blind readers: a light background, Okabe
 * and Ito's palette, and never colour alone. It has a title and a description for screen readers. It needs no canvas and no browser.
 */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** A Vega-Lite specification without `$schema` and theme. */
export type ChartSpec = Record<string, unknown>;

/** Okabe and Ito, "Color universal design", 2008; without its yellow, which is invisible on paper. Neighbours differ in lightness too. */
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
 * Gives each name a colour and a dash (or a shape). After seven names the colours repeat with other dashes.
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

/** The font of the page's text, so that charts and tables look alike. */
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
  // A label at the end of an axis stays inside the panel. A label that sticks out would lift that panel's header above the others.
  axisYQuantitative: { labelFlush: 6 },
  header: { titleFontSize: 11, labelFontSize: 12, labelFontWeight: 'bold', labelColor: ink, labelLimit: 320, labelPadding: 6 },
  legend: { labelFontSize: 11, titleFontSize: 11, titleFontWeight: 'normal', labelColor: ink, symbolSize: 70, labelLimit: 240 },
  title: { fontSize: 12, fontWeight: 'bold', anchor: 'start', color: ink },
  text: { fontSize: 11, color: ink },
};

/** The header of a facet. A name breaks into two lines if the panel is too narrow for it. */
export const panelHeader = (letters = 26): ChartSpec => ({ title: null, labelExpr: brokenAt(letters), labelLineHeight: 14 });

/** A Vega expression that breaks the label at the last blank before the limit. */
function brokenAt(letters: number): string {
  const blank = `lastindexof(slice(datum.label, 0, ${letters}), ' ')`;
  return `length(datum.label) > ${letters} && ${blank} > 0 ? [slice(datum.label, 0, ${blank}), slice(datum.label, ${blank} + 1)] : datum.label`;
}

export interface ChartWords {
  /** Unique on its page; only letters, digits and hyphens. */
  id: string;
  title: string;
  /** A description of the chart in words. */
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
 * Vega measures text on a canvas. Without one it assumes 0.8 of the font size for each letter, which is far too wide and moves
 * axes and legends away from their charts. These are the widths of a wide font (DejaVu Sans), so that nothing overlaps.
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

/** Adds title and description, lets the chart shrink with its column, and makes its ids unique on the page. */
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
