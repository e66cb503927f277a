/** Asks the running services for their state over HTTP. */
import type { SettingsAnswer } from '#audio/settings-by-corpus.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ServiceRestarts } from '#overview/troubles.js';
import type { TrainerStatus } from '#rounds/trainer-status.js';
import type { Environment } from '#service/read-config.js';
import type { Connections } from './connect.js';

const answerLimitMs = 2_000;

/** @returns null if it does not answer */
export async function askTrainer({ environment }: Pick<Connections, 'environment'>): Promise<TrainerStatus | null> {
  try {
    return (await ask(`${environment['TRAINER_URL'] ?? 'http://127.0.0.1:7403'}/status`, environment)) as TrainerStatus;
  } catch {
    return null;
  }
}

/** The part of the predictor's status that `undertone status` prints. */
export interface PredictorReport {
  model: { runId: string; step: number; champion: number | null } | null;
  problem: string | null;
  utterances: Record<string, number>;
}

/** @returns null if it does not answer */
export async function askPredictor({ environment }: Pick<Connections, 'environment'>): Promise<PredictorReport | null> {
  try {
    return (await ask(`${environment['PREDICTOR_URL'] ?? 'http://127.0.0.1:7404'}/status`, environment)) as PredictorReport;
  } catch {
    return null;
  }
}

/** @returns the restarts that the evaluator has seen; none if it does not answer */
export async function askRestarts({ environment }: Pick<Connections, 'environment'>): Promise<ServiceRestarts[]> {
  try {
    return (await ask(`${environment['EVALUATOR_URL'] ?? 'http://127.0.0.1:7400'}/api/restarts`, environment)) as ServiceRestarts[];
  } catch {
    return [];
  }
}

/** @throws PipelineError CONFIG_INVALID if features does not answer, because only features knows its own settings */
export async function askFeatures({ environment }: Pick<Connections, 'environment'>): Promise<SettingsAnswer> {
  const url = `${environment['FEATURES_URL'] ?? 'http://127.0.0.1:7402'}/settings`;
  try {
    return (await ask(url, environment)) as SettingsAnswer;
  } catch (error) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `features does not answer at ${url} (${(error as Error).message}). Only features knows its settings, so it has to run. Start the stack, or set FEATURES_URL to its address.`,
      { cause: error },
    );
  }
}

async function ask(url: string, { API_TOKEN: token }: Environment): Promise<unknown> {
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(answerLimitMs) });
  if (response.status === 401) throw new Error('it answered 401: set API_TOKEN to the token of the services');
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  return response.json();
}
