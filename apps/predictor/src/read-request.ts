/** Reads the body of `POST /predict`: the bytes of a file, a form with a file, or JSON that names an object. */
import { parseOutsideJson } from '#contracts/outside-json.js';
import { parseCorpusKey, refuseBadKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { objectToPredictSchema } from './predictor-answers.js';

export type Asked = { bytes: Uint8Array } | { key: string };

const largestJsonBytes = 10_000;
const expected = 'Send the bytes of an audio file, a form with one file, or JSON such as {"key": "corpora/calls/a.wav"}.';

/** @throws PipelineError REQUEST_INVALID, OBJECT_KEY_INVALID */
export async function readAsked(body: unknown, contentType: string | undefined): Promise<Asked> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  const type = (contentType ?? '').toLowerCase().split(';')[0]?.trim();
  if (type === 'application/json') return { key: keyIn(bytes) };
  const file = type === 'multipart/form-data' ? await fileIn(bytes, contentType ?? '') : bytes;
  if (file.length === 0) throw new PipelineError('REQUEST_INVALID', `The request has no file. ${expected}`);
  return { bytes: file };
}

function keyIn(bytes: Uint8Array): string {
  const json = parseOutsideJson(bytes, { maxBytes: largestJsonBytes, maxDepth: 3, code: 'REQUEST_INVALID', noun: 'The body' });
  const parsed = objectToPredictSchema.safeParse(json);
  if (!parsed.success) throw new PipelineError('REQUEST_INVALID', `The body does not name an object. ${expected}`);
  const { key } = parsed.data;
  refuseBadKey(key);
  // The other objects of the bucket are not recordings, and nobody should learn whether they exist.
  if (!parseCorpusKey(key))
    throw new PipelineError('REQUEST_INVALID', `The key ${JSON.stringify(key)} is not of the form corpora/CORPUS/PATH.`);
  return key;
}

async function fileIn(bytes: Uint8Array, contentType: string): Promise<Uint8Array> {
  const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': contentType } }).formData().catch(() => {
    throw new PipelineError('REQUEST_INVALID', `The form cannot be read. ${expected}`);
  });
  const files = [...form.values()].filter((value) => typeof value !== 'string');
  const [file] = files;
  if (!file || files.length > 1) throw new PipelineError('REQUEST_INVALID', `The form has ${files.length} files. ${expected}`);
  return new Uint8Array(await file.arrayBuffer());
}
