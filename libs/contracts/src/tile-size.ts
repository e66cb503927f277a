/** The size of a tile, as records state it. The limits are those of the feature settings, so no forged record can ask for a larger network. */
import { z } from 'zod';

/** Half of the largest transform. */
const mostTileRows = 32_768;
export const mostTileFrames = 65_536;
/** A tile has one byte for each pixel. */
export const mostTileBytes = 16 * 1024 * 1024;

export const tileSchema = z
  .tuple([z.number().int().positive().max(mostTileRows), z.number().int().positive().max(mostTileFrames)])
  .refine(([rows, frames]) => rows * frames <= mostTileBytes, `has more than ${mostTileBytes} pixels`);
