/**
 * The safetensors format, as far as float32 goes: the length of the header, the header as JSON, then the tensors one
 * after another (https://github.com/huggingface/safetensors). Python, Rust and the browser read it without this code.
 */
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface NamedTensor {
  name: string;
  shape: number[];
  /** Row-major. */
  values: Float32Array;
}

const LENGTH_BYTES = 8;
const ALIGNMENT = 8;
/** A header that is longer is no header: the reference implementation draws the line here too. */
const LONGEST_HEADER = 100_000_000;

const entrySchema = z.object({
  dtype: z.literal('F32'),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
const headerSchema = z.record(z.string(), z.unknown());

/** @param metadata strings for people and tools that come across the file alone */
export function writeSafetensors(tensors: readonly NamedTensor[], metadata: Record<string, string> = {}): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(LENGTH_BYTES + headerBytes + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(' '.charCodeAt(0), LENGTH_BYTES, LENGTH_BYTES + headerBytes);
  bytes.set(json, LENGTH_BYTES);
  const data = new Float32Array(bytes.buffer, LENGTH_BYTES + headerBytes);
  let at = 0;
  for (const { values } of tensors) {
    data.set(values, at);
    at += values.length;
  }
  return bytes;
}

/**
 * @returns the tensors in the order of the file, each a copy
 * @throws PipelineError CHECKPOINT_INVALID for a file that is cut short, has gaps, or holds anything but float32
 */
export function readSafetensors(bytes: Uint8Array): NamedTensor[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = bytes.length < LENGTH_BYTES ? Infinity : Number(view.getBigUint64(0, true));
  const dataAt = LENGTH_BYTES + headerBytes;
  if (headerBytes > LONGEST_HEADER || dataAt > bytes.length) throw invalid('the file ends before its header does');
  const { __metadata__: _, ...entries } = parseHeader(bytes.subarray(LENGTH_BYTES, dataAt));
  const tensors = Object.entries(entries).map(([name, entry]) => {
    const parsed = entrySchema.safeParse(entry);
    if (!parsed.success) throw invalid(`${name}: ${parsed.error.issues[0]?.path.join('.')} ${parsed.error.issues[0]?.message}`);
    return { name, ...parsed.data };
  });
  let offset = 0;
  const read = tensors
    .toSorted((a, b) => a.data_offsets[0] - b.data_offsets[0])
    .map(({ name, shape, data_offsets: [begin, end] }) => {
      const size = shape.reduce((product, each) => product * each, Float32Array.BYTES_PER_ELEMENT);
      if (begin !== offset || end - begin !== size) throw invalid(`${name} does not lie where its neighbours leave off`);
      if (dataAt + end > bytes.length) throw invalid(`${name} ends after the last byte`);
      offset = end;
      const copy = Uint8Array.from(bytes.subarray(dataAt + begin, dataAt + end)); // not slice(): of a Buffer that is a view
      return { name, shape, values: new Float32Array(copy.buffer) };
    });
  if (dataAt + offset !== bytes.length) throw invalid('there are bytes after the last tensor');
  return read;
}

function parseHeader(json: Uint8Array): Record<string, unknown> {
  try {
    return headerSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)));
  } catch (cause) {
    throw invalid('the header is not JSON', cause);
  }
}

function invalid(problem: string, cause?: unknown): PipelineError {
  return new PipelineError('CHECKPOINT_INVALID', `safetensors: ${problem}`, { cause });
}
