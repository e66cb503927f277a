/** Draws a few lines over time as a simple SVG. */
export interface Line {
  name: string;
  /** [seconds, value] */
  points: [number, number][];
}

const size = { width: 720, height: 300, left: 60, bottom: 40, top: 16, right: 110 };
const colours = ['#1f6feb', '#d1572a', '#2e8b57', '#8a4fbf'];
const ticks = 4;

export function lineChart(lines: Line[], { x, y }: { x: string; y: string }): string {
  const points = lines.flatMap((line) => line.points);
  const longest = Math.max(1, ...points.map(([at]) => at));
  const highest = Math.max(1, ...points.map(([, value]) => value));
  const across = (at: number): number => size.left + (at / longest) * (size.width - size.left - size.right);
  const up = (value: number): number => size.height - size.bottom - (value / highest) * (size.height - size.bottom - size.top);
  const grid = Array.from({ length: ticks + 1 }, (_, n) => {
    const [at, value] = [(longest * n) / ticks, (highest * n) / ticks];
    const [low, high] = [up(0), up(highest)].map((each) => each.toFixed(1));
    return [
      `<line x1="${across(0)}" x2="${across(longest)}" y1="${up(value).toFixed(1)}" y2="${up(value).toFixed(1)}" stroke="#ddd"/>`,
      `<line x1="${across(at).toFixed(1)}" x2="${across(at).toFixed(1)}" y1="${low}" y2="${high}" stroke="#eee"/>`,
      `<text x="${across(0) - 8}" y="${up(value) + 4}" text-anchor="end">${Math.round(value)}</text>`,
      `<text x="${across(at).toFixed(1)}" y="${up(0) + 18}" text-anchor="middle">${Math.round(at)}</text>`,
    ].join('\n');
  });
  const drawn = lines.map(({ name, points: own }, n) => {
    const path = own.map(([at, value]) => `${across(at).toFixed(1)},${up(value).toFixed(1)}`).join(' ');
    const label = `<text x="${size.width - size.right + 10}" y="${size.top + 16 + 20 * n}" fill="${colours[n]}">${name}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colours[n]}" stroke-width="2"/>\n${label}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="12" fill="#444">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...grid,
    ...drawn,
    `<text x="${across(longest / 2)}" y="${size.height - 6}" text-anchor="middle">${x}</text>`,
    `<text x="14" y="${up(highest / 2)}" text-anchor="middle" transform="rotate(-90 14 ${up(highest / 2)})">${y}</text>`,
    '</svg>\n',
  ].join('\n');
}
