/** Reads and checks settings from the environment once, at the edge. The code inside trusts them. */
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param shape one zod schema per environment variable; an empty variable counts as unset
 * @throws PipelineError CONFIG_INVALID; the message names every wrong variable and the expected value
 */
export function readConfig<Shape extends z.ZodRawShape>(shape: Shape, environment: Environment = process.env): z.infer<z.ZodObject<Shape>> {
  const given = Object.fromEntries(Object.keys(shape).map((name) => [name, environment[name] === '' ? undefined : environment[name]]));
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new PipelineError('CONFIG_INVALID', `Wrong settings in the environment. ${problems}`);
}

const count = z.coerce.number().int();
/** The kinds of environment variables. */
export const field = {
  text: (fallback: string) => z.string().default(fallback),
  optionalText: () => z.string().optional(),
  flag: (fallback: boolean) =>
    z
      .enum(['true', 'false', '1', '0'])
      .default(fallback ? 'true' : 'false')
      .transform((value) => value === 'true' || value === '1'),
  port: (fallback: number) => count.min(0).max(65_535).default(fallback),
  whole: (fallback: number, least = 0) => count.min(least).default(fallback),
  /** 0 means never. That is the default. */
  secondsOrNever: () => z.coerce.number().min(0).default(0),
  seconds: (fallback: number) => z.coerce.number().positive().default(fallback),
  share: (fallback: number) => z.coerce.number().min(0).max(1).default(fallback),
};
