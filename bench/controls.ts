/**
 * `npm run bench -- controls`: measures the controls of two tables in docs/experiments.md. It trains networks without phase 2 or
 * without reconstruction on made voices, and measures the distance of larger latents to the prior. It takes some minutes.
 */
import { controls, heldOutUa } from '#paper/few-labels.fixture.js';
import { withAndWithout } from '#paper/prior-distance.fixture.js';
import { chooseBackend } from '#tensor/backend.js';

const voiceSeeds = [1, 2, 3, 4, 5];
const latentSeeds = [1, 2, 3];
const channels = [1, 4, 16];

export async function benchControls(): Promise<void> {
  await chooseBackend({ requested: 'node', hasGpu: false, log: () => undefined });
  for (const [name, contender] of Object.entries(controls)) {
    const found: number[] = [];
    for (const seed of voiceSeeds) found.push(100 * (await heldOutUa(contender, seed)));
    const mean = found.reduce((sum, ua) => sum + ua, 0) / found.length;
    console.log(`${name}: UA ${found.map((ua) => ua.toFixed(1)).join(', ')}, mean ${mean.toFixed(1)}`);
  }
  for (const each of channels) for (const seed of latentSeeds) await withAndWithout(each, seed);
}
