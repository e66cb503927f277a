/** A discrete Fourier transform by its definition, in doubles, for specs to compare with. */
export function powerOfBins(signal: Float32Array, window: Float64Array, fftSize: number): number[] {
  return Array.from({ length: fftSize / 2 + 1 }, (_, k) => {
    let re = 0;
    let im = 0;
    for (let i = 0; i < window.length; i++) {
      const value = (signal[i] as number) * (window[i] as number);
      const angle = (2 * Math.PI * ((k * i) % fftSize)) / fftSize;
      re += value * Math.cos(angle);
      im -= value * Math.sin(angle);
    }
    return re * re + im * im;
  });
}
