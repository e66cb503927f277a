/**
 * Writes and reads a job's results as objects of a folder or a bucket: `jobs/<jobId>/`, with result.json written last.
 *
 * Delivery: a job without result.json is not finished. A result that is written twice differs in its times only.
 */
import type { JobResult, LatentSample, ReconstructionSample } from './experiment-results.js';
import { largestConfusion } from '#evaluation/evaluate-predictions.js';
import { readPredictions, writePredictions } from '#evaluation/predictions-file.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { Objects } from '#storage/object-store.js';

/** Latents and reconstructions of one job of the experiment, for the report's pictures. */
export interface Showcase {
  latents: LatentSample[];
  reconstructions: ReconstructionSample[];
}

const prefixOf = (jobId: string): string => `jobs/${jobId}/`;
const resultKey = (jobId: string): string => `${prefixOf(jobId)}result.json`;
const predictionsKey = (jobId: string, task: string): string => `${prefixOf(jobId)}${task}.arrow`;
const failureKey = (jobId: string): string => `${prefixOf(jobId)}failed.json`;
const showcaseKey = (jobId: string): string => `${prefixOf(jobId)}showcase.json`;

type StoredResult = Omit<JobResult, 'predictions'> & {
  predictions: { task: JobResult['predictions'][number]['task']; classes: string[] }[];
};

export async function writeJobResult(store: Objects, result: JobResult, showcase: Showcase | null): Promise<void> {
  const { jobId } = result.job;
  // With thousands of speakers the probabilities would take gigabytes. The evaluations hold the scores.
  const kept = result.predictions.filter(({ classes }) => classes.length <= largestConfusion);
  for (const { task, classes, rows } of kept) await store.put(predictionsKey(jobId, task), writePredictions(rows, classes.length));
  if (showcase) await store.put(showcaseKey(jobId), JSON.stringify(encoded(showcase)));
  const stored: StoredResult = { ...result, predictions: kept.map(({ task, classes }) => ({ task, classes })) };
  await store.put(resultKey(jobId), `${JSON.stringify(stored, null, 1)}\n`);
}

/** Records that a job failed for good, so that no other trainer tries it. */
export async function writeJobFailure(store: Objects, jobId: string, why: string): Promise<void> {
  await store.put(failureKey(jobId), JSON.stringify({ why }));
}

/** @returns null if the job has not failed */
export async function readJobFailure(store: Objects, jobId: string): Promise<string | null> {
  const found = (await store.findJson(failureKey(jobId))) as { why: string } | null;
  return found?.why ?? null;
}

/** Removes the record of the failure, so that trainers try the job again. */
export async function clearJobFailure(store: Objects, jobId: string): Promise<void> {
  await deleteOwn(store, failureKey(jobId), 'jobFailure');
}

/** @returns null if the job is not finished */
export async function readJobResult(store: Objects, jobId: string): Promise<JobResult | null> {
  const stored = (await store.findJson(resultKey(jobId))) as StoredResult | null;
  if (!stored) return null;
  const predictions = stored.predictions.map(async ({ task, classes }) => {
    const { bytes } = await store.get(predictionsKey(jobId, task));
    return { task, classes, rows: readPredictions(bytes) };
  });
  return { ...stored, predictions: await Promise.all(predictions) };
}

export async function readShowcase(store: Objects, jobId: string): Promise<Showcase> {
  const found = (await store.findJson(showcaseKey(jobId))) as ReturnType<typeof encoded> | null;
  if (!found) return { latents: [], reconstructions: [] };
  return {
    latents: found.latents.map((each) => ({ ...each, code: floats(each.code) })),
    reconstructions: found.reconstructions.map((each) => ({
      ...each,
      original: floats(each.original),
      reconstruction: floats(each.reconstruction),
    })),
  };
}

/** Writes float32 numbers into JSON as base64 of their bytes. */
function encoded({ latents, reconstructions }: Showcase) {
  return {
    latents: latents.map((each) => ({ ...each, code: base64(each.code) })),
    reconstructions: reconstructions.map((each) => ({
      ...each,
      original: base64(each.original),
      reconstruction: base64(each.reconstruction),
    })),
  };
}

const base64 = ({ buffer, byteOffset, byteLength }: Float32Array): string => Buffer.from(buffer, byteOffset, byteLength).toString('base64');
const floats = (text: string): Float32Array => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
