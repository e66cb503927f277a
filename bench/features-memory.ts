/** Child process of the bench: sends long files through two workers, reads each like the service, and prints the peak memory in MiB. */
import { readFile, stat } from 'node:fs/promises';
import { featureSettings } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { AudioMemory } from '#extraction/audio-memory.js';
import { ExtractorPool } from '#extraction/extractor-pool.js';
import { MemoryBudget } from '#extraction/memory-budget.js';

const pool = new ExtractorPool({ workers: 2, fileTimeoutMs: 120_000, memory: new AudioMemory(192e6 * 4) });
const reading = new MemoryBudget(64e6);
const extract = async (file: string) =>
  reading.use((await stat(file)).size, async () =>
    pool.extract(await readFile(file), featureSettings(), { silence: 'ends', ffmpeg: chooseFfmpeg() }),
  );
const files = process.argv.slice(2);
// Two files at a time, like two partitions.
for (let at = 0; at < files.length; at += 2) await Promise.all(files.slice(at, at + 2).map(extract));
await pool.close();
console.log(Math.round(process.resourceUsage().maxRSS / 1024));
