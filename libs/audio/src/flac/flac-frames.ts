/**
 * Decodes the frames of a FLAC stream, one after another: RFC 9639, Sections 9.1 to 9.3. This file has the bit reader, frame
 * header, subframes and both CRCs. The kernel does Rice codes and prediction in 32 bits, which take most of the time, so
 * bytes and blocks lie in its memory.
 *
 * All integers have 32 bits, with two exceptions. Sums of a linear prediction that could pass 2^31 are doubles, and exact:
 * they have at most 33 + 14 + 5 bits. The side channel of 32-bit stereo consists of doubles too.
 *
 * The file is longer than 300 lines because a frame is decoded by one object over one memory: whoever holds RFC 9639 beside it reads
 * both from top to bottom.
 *
 * Does not look for the next good frame after a damaged one: the first error ends decoding. The caller checks what
 * STREAMINFO says of the whole stream (its length, its MD5).
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { type Kernel, kernelWith, KernelMemory } from '../kernel.js';

export interface FlacFormat {
  sampleRateHz: number;
  channels: number;
  bits: number;
}

/** Zeros in front of each block, because an unrolled prediction of a lower order reads before it. */
const HISTORY = 32;
/** Zeros after the last byte. A code that runs into them goes to `unary`, which checks for the end. */
const PADDING = 16;
const MAX_BLOCK_SIZE = 65_535;
/** The number of bits that a load of 32 always leaves, whatever the position in its first byte. */
const WINDOW_BITS = 25;
/** The most that STREAMINFO can state. It also keeps bit positions in a frame below 2^31. */
const MAX_FRAME_BYTES = 2 ** 24;

const INDEPENDENT_UP_TO = 7;
const LEFT_SIDE = 8;
const SIDE_RIGHT = 9;
const MID_SIDE = 10;

const RATES_HZ = [0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
/** 0: as in STREAMINFO; -1: reserved. */
const BITS = [0, 8, 12, -1, 16, 20, 24, 32];

/** Coefficients of the fixed predictors, by order (Section 9.2.5). */
const FIXED = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]];

const CRC8 = crcTable(8, 0x07);
const CRC16 = crcTable(16, 0x8005);
/** The CRC of a byte that is followed by one, two or three more bytes. */
const CRC16_1 = CRC16.map(crc16AfterZero);
const CRC16_2 = CRC16_1.map(crc16AfterZero);
const CRC16_3 = CRC16_2.map(crc16AfterZero);

export class FlacFrames {
  /** A block of integers per channel, from the last frame. A block is longer than the frame, and the next frame overwrites it. */
  readonly blocks: Int32Array[];
  /** Number of decoded frames, which is the index of the next one. */
  frame = 0;
  /** Number of decoded samples per channel. */
  sampleCount = 0;

  private readonly kernel: Kernel;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly byteLength: number;
  /** Each block with HISTORY zeros before it. */
  private readonly buffers: Int32Array[];
  private readonly coefficients: Int32Array;
  private readonly mono: Float32Array;
  /** Where the kernel's Rice decoder stopped: bit position, samples. */
  private readonly stopped: Uint32Array;
  /** The side channel, if it has 33 bits. */
  private readonly side: Float64Array;
  /** First byte of the frame. Positions count bits from there. */
  private start: number;
  private bit = 0;
  private endBit = 0;
  private variable = false;
  /** The number in the header of the first frame: 0, unless the recording joined a running stream. */
  private firstNumber = 0;

  /** @param offset position of the first frame. The kernel's memory belongs to this stream until all is decoded. */
  constructor(
    bytes: Uint8Array,
    offset: number,
    private readonly format: FlacFormat,
  ) {
    this.byteLength = bytes.length - offset;
    const memory = new KernelMemory();
    const bytesAt = memory.take(this.byteLength + PADDING);
    const coefficientsAt = memory.take(4 * HISTORY);
    const stoppedAt = memory.take(8);
    const buffersAt = Array.from({ length: format.channels }, () => memory.take(4 * (HISTORY + MAX_BLOCK_SIZE)));
    const monoAt = memory.take(4 * (MAX_BLOCK_SIZE + 1)); // a vector is written at once
    this.kernel = kernelWith(memory.sizeBytes);
    const { buffer } = this.kernel.memory;
    this.bytes = new Uint8Array(buffer, bytesAt, this.byteLength + PADDING);
    this.bytes.set(bytes.subarray(offset));
    this.bytes.fill(0, this.byteLength);
    this.view = new DataView(buffer, bytesAt, this.bytes.length);
    this.coefficients = new Int32Array(buffer, coefficientsAt, HISTORY);
    this.mono = new Float32Array(buffer, monoAt, MAX_BLOCK_SIZE);
    this.stopped = new Uint32Array(buffer, stoppedAt, 2);
    this.buffers = buffersAt.map((at) => new Int32Array(buffer, at, HISTORY + MAX_BLOCK_SIZE));
    this.blocks = this.buffers.map((padded) => padded.subarray(HISTORY));
    this.side = new Float64Array(format.bits === 32 && format.channels === 2 ? HISTORY + MAX_BLOCK_SIZE : 0);
    this.start = 0;
  }

  /** True if all bytes were used. */
  get ended(): boolean {
    return this.start >= this.byteLength;
  }

  /** True if a frame begins here, by its sync code and the CRC of its header. */
  get startsFrame(): boolean {
    if (this.ended) return false;
    try {
      this.header();
      return true;
    } catch (error) {
      if (error instanceof PipelineError) return false;
      throw error;
    }
  }

  /** Decodes a frame into `blocks`. @returns its samples per channel. @throws AUDIO_TRUNCATED, AUDIO_UNDECODABLE */
  decodeNext(): number {
    const { blockSize, assignment, variable, number } = this.header();
    this.requireOrder(variable, number);
    const { bits } = this.format;
    for (let channel = 0; channel < this.format.channels; channel++) {
      const isSide = channel === 0 ? assignment === SIDE_RIGHT : assignment === LEFT_SIDE || assignment === MID_SIDE;
      this.subframe(this.buffers[channel] as Int32Array, blockSize, isSide ? bits + 1 : bits);
    }
    this.checkCrc16();
    if (assignment > INDEPENDENT_UP_TO) this.joinStereo(assignment, blockSize);
    for (const block of this.blocks) {
      if (this.kernel.usedBits(block.byteOffset, blockSize) >>> (bits - 1) !== 0)
        throw this.damaged(`it has a sample of more than ${bits} bits`);
    }
    this.frame++;
    this.sampleCount += blockSize;
    this.start += this.bit >>> 3;
    return blockSize;
  }

  /** Writes the mean of the channels of the last frame as floats into `target`, from `at` on. */
  mixDown(blockSize: number, target: Float32Array, at: number): void {
    const { blocks, kernel, mono } = this;
    const divisor = 2 ** (this.format.bits - 1) * blocks.length;
    const [first, second] = blocks as [Int32Array, Int32Array];
    if (blocks.length === 1) kernel.mixOne(first.byteOffset, blockSize, 1 / divisor, mono.byteOffset);
    else if (blocks.length === 2 && this.format.bits < 32) {
      kernel.mixTwo(first.byteOffset, second.byteOffset, blockSize, 1 / divisor, mono.byteOffset);
    } else {
      for (let i = 0; i < blockSize; i++) {
        let sum = 0;
        for (const block of blocks) sum += block[i] as number;
        mono[i] = sum / divisor;
      }
    }
    target.set(mono.subarray(0, blockSize), at);
  }

  // ---- frame header and footer (Sections 9.1 and 9.3)

  private header(): { blockSize: number; assignment: number; variable: boolean; number: number } {
    this.bit = 0;
    this.endBit = Math.min(this.byteLength - this.start, MAX_FRAME_BYTES) * 8;
    if (this.read(15) !== 0x7ffc) throw this.damaged('no frame starts where one should (lost sync)');
    const variable = this.read(1) === 1;
    const sizeCode = this.read(4);
    const rateCode = this.read(4);
    const assignment = this.read(4);
    const bitsCode = this.read(3);
    const reserved = this.read(1);
    const number = this.codedNumber();
    const blockSize = this.blockSize(sizeCode);
    const sampleRateHz = this.sampleRateHz(rateCode);
    const headerBytes = this.bit >>> 3;
    if (this.read(8) !== this.crc8(headerBytes)) throw this.damaged('its header fails its CRC-8');

    const bits = BITS[bitsCode] as number;
    if (reserved !== 0 || bits < 0 || assignment > MID_SIDE) throw this.damaged('its header uses a reserved code');
    if (blockSize > MAX_BLOCK_SIZE) throw this.damaged('its block of 65536 samples is too large');
    const channels = assignment <= INDEPENDENT_UP_TO ? assignment + 1 : 2;
    this.requireSame('channels', channels, this.format.channels);
    this.requireSame('bits per sample', bits === 0 ? this.format.bits : bits, this.format.bits);
    this.requireSame('samples per second', sampleRateHz, this.format.sampleRateHz);
    return { blockSize, assignment, variable, number };
  }

  /** Reads up to 36 bits in 1 to 7 bytes, coded like UTF-8. */
  private codedNumber(): number {
    const first = this.read(8);
    const ones = Math.clz32(~(first << 24));
    if (ones === 1 || ones === 8) throw this.damaged('its frame number has an invalid code');
    let number = ones === 0 ? first : first & (0x7f >> ones);
    for (let i = 1; i < ones; i++) {
      const next = this.read(8);
      if (next >> 6 !== 2) throw this.damaged('its frame number has an invalid code');
      number = number * 64 + (next & 63);
    }
    return number;
  }

  private blockSize(code: number): number {
    if (code === 0) throw this.damaged('its block size has a reserved code');
    if (code === 1) return 192;
    if (code <= 5) return 144 << code;
    if (code === 6) return this.read(8) + 1;
    if (code === 7) return this.read(16) + 1;
    return 1 << code;
  }

  private sampleRateHz(code: number): number {
    if (code === 0) return this.format.sampleRateHz;
    if (code === 12) return this.read(8) * 1_000;
    if (code === 13) return this.read(16);
    if (code === 14) return this.read(16) * 10;
    if (code === 15) throw this.damaged('its sample rate has a forbidden code');
    return RATES_HZ[code] as number;
  }

  private requireSame(what: string, now: number, before: number): void {
    if (now !== before) throw this.damaged(`it has ${now} ${what}, but the stream has ${before}`);
  }

  /**
   * Frame numbers rise by one, or by the number of samples if block sizes vary (old encoders do the latter without the
   * flag for it). A gap means that a frame is lost.
   */
  private requireOrder(variable: boolean, number: number): void {
    if (this.frame === 0) {
      this.variable = variable;
      this.firstNumber = number;
    }
    if (variable !== this.variable) throw this.damaged('it changes between fixed and variable block sizes');
    const step = number - this.firstNumber;
    if (step !== this.sampleCount && (variable || step !== this.frame)) {
      throw this.damaged(`it has number ${number}, which does not follow the frame before it`);
    }
  }

  private checkCrc16(): void {
    this.bit = (this.bit + 7) & ~7;
    const end = this.start + (this.bit >>> 3);
    if (this.read(16) !== crc16(this.bytes, this.start, end)) throw this.damaged('it fails its CRC-16');
  }

  private crc8(headerBytes: number): number {
    let crc = 0;
    for (let i = 0; i < headerBytes; i++) crc = CRC8[crc ^ (this.bytes[this.start + i] as number)] as number;
    return crc;
  }

  // ---- subframes (Section 9.2)

  /** @param bits bits per sample of the channel: one more than those of the stream for a side channel */
  private subframe(buffer: Int32Array, blockSize: number, bits: number): void {
    if (this.read(1) !== 0) throw this.damaged('a subframe starts with a reserved bit');
    const type = this.read(6);
    const wasted = this.read(1) === 0 ? 0 : 1 + this.unary();
    const width = bits - wasted;
    if (width < 1) throw this.damaged(`it declares ${wasted} of ${bits} bits as wasted`);
    const target = bits > 32 ? this.side : buffer;
    const end = HISTORY + blockSize;

    if (type === 0) target.fill(this.signed(width), HISTORY, end);
    else if (type === 1) this.verbatim(target, HISTORY, end, width);
    else if (type >= 8 && type <= 12) this.fixed(buffer, target, blockSize, { width, order: type - 8 });
    else if (type >= 32) this.linear(buffer, target, blockSize, { width, order: type - 31 });
    else throw this.damaged(`a subframe has the reserved type ${type}`);

    if (wasted > 0) restoreWasted(target, HISTORY, end, wasted);
  }

  private verbatim(target: Int32Array | Float64Array, from: number, to: number, width: number): void {
    for (let i = from; i < to; i++) target[i] = this.signed(width);
  }

  private fixed(buffer: Int32Array, target: Int32Array | Float64Array, blockSize: number, shape: { width: number; order: number }): void {
    const { order } = shape;
    this.warmUp(target, blockSize, shape);
    this.residual(buffer, blockSize, order);
    const end = HISTORY + blockSize;
    if (target === buffer) {
      integrate(buffer, HISTORY + order, end, order);
    } else {
      this.coefficients.set(FIXED[order] as number[]);
      predictInDoubles(buffer, target, end, { coefficients: this.coefficients, order, shift: 0 });
    }
  }

  private linear(buffer: Int32Array, target: Int32Array | Float64Array, blockSize: number, shape: { width: number; order: number }): void {
    const { width, order } = shape;
    this.warmUp(target, blockSize, shape);
    const precision = this.read(4) + 1;
    const shift = this.signed(5);
    if (precision === 16) throw this.damaged('the precision of its coefficients has a forbidden code');
    if (shift < 0) throw this.damaged('the shift of its prediction is negative');
    const { coefficients } = this;
    let magnitude = 0;
    for (let j = 0; j < order; j++) {
      const coefficient = this.signed(precision);
      coefficients[j] = coefficient;
      magnitude += Math.abs(coefficient);
    }
    coefficients.fill(0, order);
    this.residual(buffer, blockSize, order);
    const end = HISTORY + blockSize;
    const fits = magnitude * 2 ** (width - 1) < 2 ** 31;
    if (!fits || target !== buffer) predictInDoubles(buffer, target, end, { coefficients, order, shift });
    else this.kernel.predict(pointerTo(buffer, HISTORY + order), blockSize - order, coefficients.byteOffset, order, shift);
  }

  private warmUp(target: Int32Array | Float64Array, blockSize: number, shape: { width: number; order: number }): void {
    if (shape.order > blockSize) throw this.damaged(`a prediction from ${shape.order} samples in a block of ${blockSize}`);
    this.verbatim(target, HISTORY, HISTORY + shape.order, shape.width);
  }

  /** Writes the residual to the positions of its samples (Section 9.2.7). */
  private residual(buffer: Int32Array, blockSize: number, order: number): void {
    const method = this.read(2);
    if (method > 1) throw this.damaged('its residual has a reserved coding method');
    const parameterBits = 4 + method;
    const escape = (1 << parameterBits) - 1;
    const partitions = 1 << this.read(4);
    const partitionSize = Math.floor(blockSize / partitions);
    if (partitionSize * partitions !== blockSize || partitionSize < order) {
      throw this.damaged(`${partitions} partitions in a block of ${blockSize} samples, ${order} of them without residual`);
    }
    let from = HISTORY + order;
    for (let to = HISTORY + partitionSize; to <= HISTORY + blockSize; to += partitionSize) {
      const parameter = this.read(parameterBits);
      if (parameter === escape) this.plain(buffer, from, to);
      else this.rice(buffer, from, to, parameter);
      from = to;
    }
  }

  private plain(buffer: Int32Array, from: number, to: number): void {
    const width = this.read(5);
    if (width === 0) buffer.fill(0, from, to);
    else this.verbatim(buffer, from, to, width);
  }

  private rice(buffer: Int32Array, from: number, to: number, parameter: number): void {
    const { kernel, stopped } = this;
    const frameAt = this.bytes.byteOffset + this.start;
    for (let i = from; i < to; ) {
      kernel.rice(frameAt, this.bit, pointerTo(buffer, i), to - i, parameter, stopped.byteOffset);
      this.bit = stopped[0] as number;
      i += stopped[1] as number;
      if (i < to) buffer[i++] = this.longRice(parameter);
    }
    if (this.bit > this.endBit) throw this.cut();
  }

  /** Reads one Rice code that is too long for the kernel. */
  private longRice(parameter: number): number {
    const folded = this.unary() * 2 ** parameter + this.read(parameter);
    if (folded > 0xfffffffe) throw this.damaged('a residual has more than 32 bits');
    return (folded >>> 1) ^ -(folded & 1);
  }

  // ---- stereo (Section 4.2)

  private joinStereo(assignment: number, blockSize: number): void {
    const [first, second] = this.buffers as [Int32Array, Int32Array];
    const end = HISTORY + blockSize;
    const side = this.format.bits === 32 ? this.side : assignment === SIDE_RIGHT ? first : second;
    if (assignment === LEFT_SIDE) for (let i = HISTORY; i < end; i++) second[i] = (first[i] as number) - (side[i] as number);
    else if (assignment === SIDE_RIGHT) for (let i = HISTORY; i < end; i++) first[i] = (side[i] as number) + (second[i] as number);
    else if (side === second) joinMidSide(first, second, HISTORY, end);
    else {
      for (let i = HISTORY; i < end; i++) {
        const right = (first[i] as number) - Math.floor((side[i] as number) / 2);
        first[i] = right + (side[i] as number);
        second[i] = right;
      }
    }
  }

  // ---- bits, the highest of a byte first

  /** @param count 0 to 32 */
  private read(count: number): number {
    const at = this.bit;
    this.bit = at + count;
    if (this.bit > this.endBit) throw this.cut();
    const window = this.view.getInt32(this.start + (at >>> 3)) << (at & 7);
    if (count === 0) return 0;
    if (count <= WINDOW_BITS) return window >>> (32 - count);
    this.bit = at + count - 16;
    return (window >>> (48 - count)) * 65_536 + this.read(16);
  }

  /** @param count 1 to 33 */
  private signed(count: number): number {
    if (count > WINDOW_BITS) return this.signed(count - 16) * 65_536 + this.read(16);
    const at = this.bit;
    this.bit = at + count;
    if (this.bit > this.endBit) throw this.cut();
    return (this.view.getInt32(this.start + (at >>> 3)) << (at & 7)) >> (32 - count);
  }

  /** Counts the zeros before the next one, and reads that one too. */
  private unary(): number {
    let zeros = 0;
    for (;;) {
      if (this.bit >= this.endBit) throw this.cut();
      const more = Math.clz32(this.view.getInt32(this.start + (this.bit >>> 3)) << (this.bit & 7));
      if (more < WINDOW_BITS) {
        this.bit += more + 1;
        return zeros + more;
      }
      this.bit += WINDOW_BITS;
      zeros += WINDOW_BITS;
    }
  }

  // ---- errors

  private cut(): PipelineError {
    if (this.endBit === MAX_FRAME_BYTES * 8 && this.byteLength - this.start > MAX_FRAME_BYTES) return this.damaged('it has no end');
    return new PipelineError('AUDIO_TRUNCATED', `the FLAC file ends within frame ${this.frame}`, {
      context: { frame: this.frame, decodedSamples: this.sampleCount },
    });
  }

  private damaged(why: string): PipelineError {
    return new PipelineError('AUDIO_UNDECODABLE', `a FLAC file that cannot be decoded: frame ${this.frame}: ${why}`, {
      context: { frame: this.frame, decodedSamples: this.sampleCount },
    });
  }
}

/** The fixed predictors have no shift, so sums that wrap at 2^32 still end at the right sample. */
function integrate(buffer: Int32Array, from: number, to: number, order: number): void {
  if (order === 0) return;
  let a = buffer[from - 1] as number;
  let b = buffer[from - 2] as number;
  let c = buffer[from - 3] as number;
  const d = buffer[from - 4] as number;
  if (order === 1) {
    for (let i = from; i < to; i++) buffer[i] = a = (a + (buffer[i] as number)) | 0;
    return;
  }
  if (order === 2) {
    b = (a - b) | 0; // the last difference
    for (let i = from; i < to; i++) {
      b = (b + (buffer[i] as number)) | 0;
      buffer[i] = a = (a + b) | 0;
    }
    return;
  }
  if (order === 3) {
    c = (a - 2 * b + c) | 0;
    b = (a - b) | 0;
    for (let i = from; i < to; i++) {
      c = (c + (buffer[i] as number)) | 0;
      b = (b + c) | 0;
      buffer[i] = a = (a + b) | 0;
    }
    return;
  }
  let third = (a - 3 * b + 3 * c - d) | 0;
  c = (a - 2 * b + c) | 0;
  b = (a - b) | 0;
  for (let i = from; i < to; i++) {
    third = (third + (buffer[i] as number)) | 0;
    c = (c + third) | 0;
    b = (b + c) | 0;
    buffer[i] = a = (a + b) | 0;
  }
}

/** Pointer to an element in the kernel's memory. */
function pointerTo(buffer: Int32Array, index: number): number {
  return buffer.byteOffset + 4 * index;
}

/** Predicts with sums of more than 32 bits. The residual is in `buffer`, and the samples go to `target` (may be the same). */
function predictInDoubles(
  buffer: Int32Array,
  target: Int32Array | Float64Array,
  to: number,
  { coefficients, order, shift }: { coefficients: Int32Array; order: number; shift: number },
): void {
  const scale = 2 ** -shift;
  for (let i = HISTORY + order; i < to; i++) {
    let sum = 0;
    for (let j = 0; j < order; j++) sum += (coefficients[j] as number) * (target[i - 1 - j] as number);
    target[i] = Math.floor(sum * scale) + (buffer[i] as number);
  }
}

function restoreWasted(target: Int32Array | Float64Array, from: number, to: number, wasted: number): void {
  if (target instanceof Int32Array) for (let i = from; i < to; i++) target[i] = (target[i] as number) << wasted;
  else for (let i = from; i < to; i++) target[i] = (target[i] as number) * 2 ** wasted;
}

function joinMidSide(mid: Int32Array, side: Int32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const difference = side[i] as number;
    const right = ((mid[i] as number) - (difference >> 1)) | 0;
    mid[i] = right + difference;
    side[i] = right;
  }
}

function crcTable(width: 8 | 16, polynomial: number): Uint16Array {
  const top = 1 << (width - 1);
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (width - 8);
    for (let i = 0; i < 8; i++) crc = (crc << 1) ^ (crc & top ? polynomial : 0);
    return crc & (2 * top - 1);
  });
}

function crc16AfterZero(crc: number): number {
  return ((crc << 8) & 0xffff) ^ (CRC16[crc >> 8] as number);
}

function crc16(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    crc =
      (CRC16_3[(crc >> 8) ^ (bytes[i] as number)] as number) ^
      (CRC16_2[(crc & 0xff) ^ (bytes[i + 1] as number)] as number) ^
      (CRC16_1[bytes[i + 2] as number] as number) ^
      (CRC16[bytes[i + 3] as number] as number);
  }
  for (; i < to; i++) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ (bytes[i] as number)] as number);
  return crc;
}
