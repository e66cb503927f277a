/** The only place of the command line that reads the environment. */
import { randomBytes } from 'node:crypto';
import type { Environment } from '#service/read-config.js';

export const environment: Environment = process.env;

/** Gives the AWS SDK, which reads the process's own environment, the keys of the stack that a command speaks to. */
export function adoptCredentials(from: Environment): void {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION']) {
    const value = from[name];
    if (value !== undefined) process.env[name] = value;
  }
}

/** TensorFlow greets on stderr unless told not to, before it is loaded. */
export function quietTensorflow(): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
}

/** Keys of an embedded object store: made for each stack, of no use elsewhere. */
export const freshCredentials = (): { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string } => ({
  AWS_ACCESS_KEY_ID: `undertone${randomBytes(6).toString('hex')}`,
  AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
});

/** The API_TOKEN of a stack whose caller has set none. */
export const freshToken = (): string => randomBytes(20).toString('hex');
