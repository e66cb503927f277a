/**
 * Two kernels that training on tfjs-backend-wasm 4.22 needs: the gradient of a convolution by its filter, which it lacks,
 * and that of max-pooling, which it has wrong: a window whose largest value is negative gets no gradient (half of them,
 * after a batch norm). Plain typed-array loops: they make training on wasm possible, not fast.
 */
import * as tf from '@tensorflow/tfjs';

const FILTER_GRADIENT = 'Conv2DBackpropFilter';
const POOL_GRADIENT = 'MaxPoolGrad';

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

interface PoolAttributes {
  filterSize: [number, number];
  strides: [number, number];
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

let registered = false;

/** Once per process. */
export function registerWasmGradients(): void {
  if (registered) return;
  registered = true;
  if (!tf.getKernel(FILTER_GRADIENT, 'wasm')) registerFilterGradient();
  if (tf.getKernel(POOL_GRADIENT, 'wasm')) tf.unregisterKernel(POOL_GRADIENT, 'wasm');
  registerPoolGradient();
}

function registerPoolGradient(): void {
  tf.registerKernel({
    kernelName: POOL_GRADIENT,
    backendName: 'wasm',
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { input, dy } = inputs as { input: tf.TensorInfo; dy: tf.TensorInfo };
      const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as PoolAttributes;
      const shape = input.shape as [number, number, number, number];
      const pooling = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
      const wasm = backend as unknown as WasmBackend;
      const output = wasm.makeOutput(shape, 'float32'); // before the views below: allocation may move the heap
      poolGradient(pooling, wasm.typedArrayFromHeap(input), { dy: wasm.typedArrayFromHeap(dy), into: wasm.typedArrayFromHeap(output) });
      return output;
    },
  });
}

type Pooling = ReturnType<typeof tf.backend_util.computePool2DInfo>;

/** Each dy goes to the first of its window's largest values. */
function poolGradient(pooling: Pooling, x: Float32Array, { dy, into }: { dy: Float32Array; into: Float32Array }): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, filterHeight, filterWidth, padInfo } = pooling;
  into.fill(0);
  for (let position = 0; position < batchSize * outHeight * outWidth; position++) {
    const tile = Math.floor(position / (outHeight * outWidth));
    const top = (Math.floor(position / outWidth) % outHeight) * pooling.strideHeight - padInfo.top;
    const left = (position % outWidth) * pooling.strideWidth - padInfo.left;
    for (let channel = 0; channel < inChannels; channel++) {
      let largest = -1;
      for (let row = Math.max(0, top); row < Math.min(inHeight, top + filterHeight); row++) {
        for (let column = Math.max(0, left); column < Math.min(inWidth, left + filterWidth); column++) {
          const at = ((tile * inHeight + row) * inWidth + column) * inChannels + channel;
          if (largest < 0 || x[at]! > x[largest]!) largest = at;
        }
      }
      into[largest]! += dy[position * inChannels + channel]!;
    }
  }
}

function registerFilterGradient(): void {
  tf.registerKernel({
    kernelName: FILTER_GRADIENT,
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
