/** Child of the bench: long files through two workers, each read as the service reads an object; prints its peak in MiB. */
import { readFile } from 'node:fs/promises';
import { featureSettings } from '#audio/feature-settings.js';
import { ExtractorPool } from '../apps/features/src/extractor-pool.js';

const pool = new ExtractorPool(2, 120_000);
const extract = async (file: string) => pool.extract(await readFile(file), featureSettings(), { silence: 'ends', ffmpeg: null });
const files = process.argv.slice(2);
// Two at a time, as two partitions take them.
for (let at = 0; at < files.length; at += 2) await Promise.all(files.slice(at, at + 2).map(extract));
await pool.close();
console.log(Math.round(process.resourceUsage().maxRSS / 1024));
