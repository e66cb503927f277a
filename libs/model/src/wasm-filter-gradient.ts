/**
 * The one kernel that tfjs-backend-wasm 4.22 lacks for training this model: the gradient of a convolution by its filter.
 * Plain typed-array loops: it makes training on wasm possible, not fast.
 */
import * as tf from '@tensorflow/tfjs';

const KERNEL = 'Conv2DBackpropFilter';

/** The part of the wasm backend a kernel needs. */
interface WasmBackend {
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array;
  makeOutput(shape: number[], dtype: 'float32'): tf.TensorInfo;
}

interface FilterGradientAttributes {
  strides: [number, number];
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  filterShape: [number, number, number, number];
}

/** Once per process; a later tfjs that brings the kernel itself keeps its own. */
export function registerWasmFilterGradient(): void {
  if (tf.getKernel(KERNEL, 'wasm')) return;
  tf.registerKernel({
    kernelName: KERNEL,
    backendName: 'wasm',
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { x, dy } = inputs as { x: tf.TensorInfo; dy: tf.TensorInfo };
      const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as FilterGradientAttributes;
      const convolution = tf.backend_util.computeConv2DInfo(
        x.shape as [number, number, number, number],
        filterShape,
        strides,
        1,
        pad,
        dimRoundingMode,
        false,
        'channelsLast',
      );
      const wasm = backend as unknown as WasmBackend;
      const output = wasm.makeOutput(filterShape, 'float32'); // before the views below: allocation may move the heap
      filterGradient(convolution, wasm.typedArrayFromHeap(x), { dy: wasm.typedArrayFromHeap(dy), into: wasm.typedArrayFromHeap(output) });
      return output;
    },
  });
}

type Convolution = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** into[kh,kw,ci,co] = sum over tiles and positions of x[.., ci] * dy[.., co]. */
function filterGradient(convolution: Convolution, x: Float32Array, { dy, into }: { dy: Float32Array; into: Float32Array }): void {
  const { filterHeight, filterWidth, inChannels, outChannels, batchSize, inHeight, inWidth, outHeight, outWidth } = convolution;
  const { strideHeight, strideWidth, padInfo } = convolution;
  const taps = inChannels * outChannels;
  into.fill(0);
  for (let tap = 0; tap < filterHeight * filterWidth; tap++) {
    const sums = into.subarray(tap * taps, (tap + 1) * taps);
    const top = Math.floor(tap / filterWidth) - padInfo.top;
    const left = (tap % filterWidth) - padInfo.left;
    for (let position = 0; position < batchSize * outHeight * outWidth; position++) {
      const row = (Math.floor(position / outWidth) % outHeight) * strideHeight + top;
      const column = (position % outWidth) * strideWidth + left;
      if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
      const tile = Math.floor(position / (outHeight * outWidth));
      const from = ((tile * inHeight + row) * inWidth + column) * inChannels;
      for (let i = 0; i < inChannels; i++) {
        const value = x[from + i]!;
        if (value === 0) continue; // silence and rectified values are most of a spectrogram
        for (let o = 0; o < outChannels; o++) sums[i * outChannels + o]! += value * dy[position * outChannels + o]!;
      }
    }
  }
}
