/**
 * Finds speech with WebRTC's voice activity detector (libfvad as WebAssembly, mode 3, frames of 10 ms). Its mixture model
 * over six bands tells speech from steady noise better than level does. Audio at an unsupported rate is converted to
 * 16 kHz for it.
 *
 * It was trained on telephone speech, so it may be wrong on other sounds.
 */
import createFvad from '@echogarden/fvad-wasm';
import { resample } from '../spectrogram/resample.js';
import { FRAMES_PER_SEC, MARGIN_FRAMES, type SpeechDetector, speechRuns } from './trim-silence.js';

const KNOWN_RATES_HZ = [8_000, 16_000, 32_000, 48_000];
const OTHERS_AS_HZ = 16_000;
const MODE = 3;

let fvad: ReturnType<typeof createFvad> | undefined;

export async function speechByWebRtc(): Promise<SpeechDetector> {
  const detector = await (fvad ??= createFvad());
  return (samples, sampleRateHz) => {
    const rateHz = KNOWN_RATES_HZ.includes(sampleRateHz) ? sampleRateHz : OTHERS_AS_HZ;
    const heard = resample(samples, sampleRateHz, rateHz);
    const hop = rateHz / FRAMES_PER_SEC;
    const frames = Math.floor(heard.length / hop);
    const speech = new Uint8Array(frames);
    const handle = detector._fvad_new();
    const pointer = detector._malloc(2 * hop);
    try {
      detector._fvad_set_sample_rate(handle, rateHz);
      detector._fvad_set_mode(handle, MODE);
      for (let frame = 0; frame < frames; frame++) {
        const integers = detector.HEAP16.subarray(pointer / 2, pointer / 2 + hop);
        for (let i = 0; i < hop; i++) integers[i] = Math.max(-32_768, Math.min(32_767, 32_768 * (heard[frame * hop + i] as number)));
        speech[frame] = detector._fvad_process(handle, pointer, hop);
      }
    } finally {
      detector._free(pointer);
      detector._fvad_free(handle);
    }
    const samplesPerFrame = sampleRateHz / FRAMES_PER_SEC;
    return speechRuns(frames, (frame) => speech[frame] === 1).map(({ start, end }) => ({
      start: Math.max(0, Math.round((start - MARGIN_FRAMES) * samplesPerFrame)),
      end: Math.min(samples.length, Math.round((end + MARGIN_FRAMES) * samplesPerFrame)),
    }));
  };
}
