import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { compileKernel } from '../../../scripts/build-kernel.js';
import { fourierTables } from './spectrogram/fourier-tables.js';
import { hamming } from './spectrogram/hamming.js';
import { kernelBase64 } from './kernel-binary.js';
import { kernelWith, KernelMemory } from './kernel.js';
import { powerOfBins } from './spectrogram/power-of-bins.fixture.js';

it('equals the compiled source', () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  expect(Buffer.from(compileKernel(root)).toString('base64')).toBe(kernelBase64.replaceAll('\n', ''));
});

it.each([16, 32, 64, 128, 256, 512, 1024, 2048])('gives the power of every bin of a transform of %i samples, in every lane', (fftSize) => {
  const winLength = fftSize - 3;
  const hop = 5;
  const frames = 8;
  const signal = Float32Array.from({ length: fftSize + hop * frames }, (_, i) => Math.sin(i * i * 0.37) + 0.2);
  const power = allBins(signal, { fftSize, winLength, hop, frames });
  for (let frame = 0; frame < frames; frame++) {
    const expected = powerOfBins(signal.subarray(frame * hop), hamming(winLength), fftSize);
    const loudest = Math.max(...expected);
    for (let bin = 1; bin <= fftSize / 2; bin++) {
      const got = (power[(bin - 1) * frames + frame] as number) / 4;
      expect(Math.abs(got - (expected[bin] as number))).toBeLessThan(2e-6 * loudest);
    }
  }
});

/** [bins 1..fftSize/2, frames], one bin a row. */
function allBins(signal: Float32Array, { fftSize, winLength, hop, frames }: Record<'fftSize' | 'winLength' | 'hop' | 'frames', number>) {
  const { window, twiddles, split } = fourierTables(fftSize, winLength);
  const memory = new KernelMemory();
  const at = {
    window: memory.take(window.byteLength),
    twiddles: memory.take(twiddles.byteLength),
    split: memory.take(split.byteLength),
    work: memory.take(16 * (fftSize + fftSize / 2 + 1)),
    signal: memory.take(signal.byteLength),
    power: memory.take(4 * frames * (fftSize / 2)),
  };
  const kernel = kernelWith(memory.sizeBytes);
  const floats = new Float32Array(kernel.memory.buffer);
  floats.set(window, at.window / 4);
  floats.set(twiddles, at.twiddles / 4);
  new Uint32Array(floats.buffer).set(split, at.split / 4);
  floats.set(signal, at.signal / 4);
  const half = fftSize / 2;
  kernel.rowPower(at.signal, frames, hop, at.window, winLength, half, at.twiddles, at.split, at.work, 1, half, 0, at.power, frames);
  return floats.slice(at.power / 4, at.power / 4 + frames * half);
}
