/**
 * Draws tiles as a PNG, to show what the trainer sees (the paper's Fig. 1, Section IV-B): the tiles after the cut of silence,
 * without those that were left out. Low frequencies are at the bottom. The seconds below a tile are its place in the recording
 * after the cut. A line has four tiles with white lines between them. Padding is grey here; the trainer sees it as silence. A
 * bar at the side gives the colours in dB below the loudest, or below a full-scale sine.
 *
 * The picture is for eyes: it does not keep the pixel values. Use npy for numbers.
 */
import { PNG } from 'pngjs';
import { drawText, glyphHeight, glyphWidth } from './bitmap-font.js';
import type { FeatureSettings } from '../feature-settings.js';
import { magmaOf, type Colour } from './magma.js';
import { melRowOf } from './mel-bank.js';
import type { CutTiles } from './tiles.js';

const TILES_A_LINE = 4;
/** Pixels of the picture per pixel of a tile. */
const SCALE = 2;
const MARGIN = { left: 64, right: 112, top: 16, bottom: 40 };
const TICK = 6;
const BAR = { gap: 20, width: 16 };
const [WHITE, INK, PADDING] = [255, 40, 176];

type PictureSettings = Pick<FeatureSettings, 'rows' | 'width' | 'sampleRateHz' | 'hopLength' | 'floorDb' | 'scale'>;

export interface PicturedTiles extends Pick<CutTiles, 'tiles' | 'starts'> {
  /** Frames of the utterance; what lies behind them is padding. */
  frames: number;
}

/** @param pictured tiles of one utterance */
export function tilesToPng({ tiles, starts, frames }: PicturedTiles, settings: PictureSettings): Uint8Array {
  const { rows, width } = settings;
  const count = starts.length;
  if (count < 1 || tiles.length !== count * rows * width)
    throw new RangeError(`${tiles.length} bytes are not ${count} tiles of ${rows} x ${width}`);
  const lines = Math.ceil(count / TILES_A_LINE);
  const lineHeight = MARGIN.top + rows * SCALE + MARGIN.bottom;
  const canvas = new Canvas(MARGIN.left + Math.min(count, TILES_A_LINE) * width * SCALE + MARGIN.right, lines * lineHeight);
  for (let line = 0; line < lines; line++) {
    const first = line * TILES_A_LINE;
    const inLine = Math.min(TILES_A_LINE, count - first);
    const top = line * lineHeight + MARGIN.top;
    for (let tile = first; tile < first + inLine; tile++) {
      const place = { first, start: starts[tile] as number, top, frames, settings };
      drawTile(canvas, tiles, tile, place);
      drawTimeAxis(canvas, tile, { ...place, isLast: tile === first + inLine - 1 });
    }
    drawFrequencyAxis(canvas, top, settings);
    drawColourBar(canvas, MARGIN.left + inLine * width * SCALE + BAR.gap, top, settings);
  }
  return canvas.png();
}

interface TileLocation {
  /** The first tile of the line. */
  first: number;
  /** The frame at which the tile starts. */
  start: number;
  /** Upper edge of the line. */
  top: number;
  frames: number;
  settings: PictureSettings;
}

function drawTile(canvas: Canvas, tiles: Uint8Array, tile: number, { first, start, top, frames, settings }: TileLocation): void {
  const { rows, width } = settings;
  const left = MARGIN.left + (tile - first) * width * SCALE;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) {
      const isPadding = start + column >= frames;
      const level = tiles[(tile * rows + row) * width + column] as number;
      const colour = isPadding ? GREY(PADDING) : magmaOf(level);
      canvas.fill(left + column * SCALE, top + (rows - 1 - row) * SCALE, SCALE, SCALE, colour);
    }
  }
  if (tile > first) canvas.fill(left, top, 1, rows * SCALE, GREY(WHITE));
}

/** Draws a tick every half second and a number every second. */
function drawTimeAxis(canvas: Canvas, tile: number, { first, start, top, settings, isLast }: TileLocation & { isLast: boolean }): void {
  const { rows, width, sampleRateHz, hopLength } = settings;
  const framesPerSec = sampleRateHz / hopLength;
  const bottom = top + rows * SCALE;
  const left = MARGIN.left + (tile - first) * width * SCALE;
  for (let half = Math.ceil((2 * start) / framesPerSec); half < (2 * (start + width)) / framesPerSec; half++) {
    const x = left + Math.round(((half / 2) * framesPerSec - start) * SCALE);
    const whole = half % 2 === 0;
    canvas.fill(x, bottom, 1, whole ? TICK : TICK / 2, GREY(INK));
    if (whole) canvas.centred(String(half / 2), x, bottom + TICK + 4);
  }
  if (isLast) canvas.text('s', left + width * SCALE + 8, bottom + TICK + 4);
}

/** Marks linear rows in equal steps. Mel rows, which crowd towards the top, get doubling steps. */
function drawFrequencyAxis(canvas: Canvas, top: number, settings: PictureSettings): void {
  const { rows, sampleRateHz, scale } = settings;
  const highestKhz = sampleRateHz / 2_000;
  const step = highestKhz > 6 ? 2 : 1;
  const linear = Array.from({ length: Math.floor(highestKhz / step) + 1 }, (_, tick) => tick * step);
  for (const khz of scale === 'linear' ? linear : [0, 0.5, 1, 2, 4, 8].filter((each) => each <= highestKhz)) {
    const row = scale === 'linear' ? (rows * khz) / highestKhz : Math.max(0, melRowOf(1000 * khz, settings));
    const y = top + Math.round(SCALE * (rows - row));
    canvas.fill(MARGIN.left - TICK, y, TICK, 1, GREY(INK));
    canvas.rightAligned(String(khz), MARGIN.left - TICK - 4, y - glyphHeight);
  }
  canvas.text('kHz', 2, top);
}

function drawColourBar(canvas: Canvas, left: number, top: number, { rows, floorDb }: PictureSettings): void {
  const height = rows * SCALE;
  for (let y = 0; y < height; y++) canvas.fill(left, top + y, BAR.width, 1, magmaOf(Math.round((255 * (height - 1 - y)) / (height - 1))));
  for (let quarter = 0; quarter <= 4; quarter++) {
    const y = top + Math.round(((height - 1) * quarter) / 4);
    canvas.fill(left + BAR.width, y, TICK / 2, 1, GREY(INK));
    canvas.text(`${Math.round((floorDb * quarter) / 4)}${quarter === 0 ? ' dB' : ''}`, left + BAR.width + TICK, y - glyphHeight);
  }
}

const GREY = (level: number): Colour => [level, level, level];

/** A white picture with y growing downwards. It ignores ink outside. */
class Canvas {
  private readonly image: PNG;

  constructor(width: number, height: number) {
    this.image = new PNG({ width, height });
    this.image.data.fill(WHITE);
  }

  fill(left: number, top: number, width: number, height: number, [red, green, blue]: Colour): void {
    for (let y = Math.max(0, top); y < Math.min(this.image.height, top + height); y++) {
      for (let x = Math.max(0, left); x < Math.min(this.image.width, left + width); x++) {
        this.image.data.set([red, green, blue], 4 * (y * this.image.width + x));
      }
    }
  }

  /** Draws at twice the font's size. */
  text(text: string, left: number, top: number): void {
    drawText(text, (x, y) => this.fill(left + 2 * x, top + 2 * y, 2, 2, GREY(INK)));
  }

  centred(text: string, x: number, top: number): void {
    this.text(text, Math.round(x - text.length * glyphWidth + 1), top);
  }

  rightAligned(text: string, right: number, top: number): void {
    this.text(text, right - 2 * text.length * glyphWidth + 2, top);
  }

  png(): Uint8Array {
    return PNG.sync.write(this.image);
  }
}
