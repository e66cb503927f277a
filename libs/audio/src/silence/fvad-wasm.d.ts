/** The used part of libfvad's Emscripten build. */
declare module '@echogarden/fvad-wasm' {
  interface Fvad {
    readonly HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _fvad_new(): number;
    _fvad_free(handle: number): void;
    /** @returns -1 for an unsupported rate */
    _fvad_set_sample_rate(handle: number, sampleRateHz: number): number;
    /** @param mode 0 (keeps most) to 3 (cuts most) */
    _fvad_set_mode(handle: number, mode: number): number;
    /** @returns 1 for speech, 0 for none, -1 for an unsupported length */
    _fvad_process(handle: number, samples: number, length: number): number;
  }
  export default function createFvad(): Promise<Fvad>;
}
