/** The part of libfvad's Emscripten build that is used. */
declare module '@echogarden/fvad-wasm' {
  interface Fvad {
    readonly HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _fvad_new(): number;
    _fvad_free(handle: number): void;
    /** -1 for a rate that it does not know. */
    _fvad_set_sample_rate(handle: number, sampleRateHz: number): number;
    /** 0 (keeps most) to 3 (cuts most). */
    _fvad_set_mode(handle: number, mode: number): number;
    /** 1 speech, 0 none, -1 a length that it does not know. */
    _fvad_process(handle: number, samples: number, length: number): number;
  }
  export default function createFvad(): Promise<Fvad>;
}
