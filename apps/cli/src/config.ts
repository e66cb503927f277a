/** Reads the environment for the command line. No other file of apps/cli does. */
import { randomBytes } from 'node:crypto';
import type { Environment } from '#service/read-config.js';

export const environment: Environment = process.env;

/** Sets the keys of the stack in this process's environment, where the AWS SDK reads them. */
export function adoptCredentials(from: Environment): void {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION']) {
    const value = from[name];
    if (value !== undefined) process.env[name] = value;
  }
}

/** Keeps TensorFlow from printing its greeting on stderr. It has to be set before TensorFlow is loaded. */
export function quietTensorflow(): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
}

/** Keys of an embedded object store. Each stack makes its own, and they open nothing else. */
export const freshCredentials = (): { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string } => ({
  AWS_ACCESS_KEY_ID: `undertone${randomBytes(6).toString('hex')}`,
  AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
});

/** Makes an API_TOKEN for a stack whose caller has set none. */
export const freshToken = (): string => randomBytes(20).toString('hex');
