/**
 * Reads settings from the environment once, at the edge. Code behind the edge trusts them.
 *
 * A shape has one zod schema for each variable. `.describe('…')` says what the variable means, and docs/configuration.md shows
 * that text. `unit` and `shownDefault` in the schema's metadata are for that page as well (scripts/configuration-reference.ts).
 */
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

/** What docs/configuration.md shows of a variable, besides its name. */
export interface VariableNotes {
  description?: string | undefined;
  unit?: string | undefined;
  /** In place of a default that depends on the machine, or that the caller fills in. */
  shownDefault?: string | undefined;
}

const count = z.coerce.number().int();
const inSeconds: VariableNotes = { unit: 'seconds' };
/** The kinds of variables. */
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
  /** 0, as without it: never. */
  secondsOrNever: () =>
    z.coerce
      .number()
      .min(0)
      .default(0)
      .meta({ ...inSeconds }),
  seconds: (fallback: number) =>
    z.coerce
      .number()
      .positive()
      .default(fallback)
      .meta({ ...inSeconds }),
  /** @param unit such as `10⁶ bytes`, where a whole number has one */
  wholeIn: (unit: string, fallback: number, least = 0) => count.min(least).default(fallback).meta({ unit }),
  share: (fallback: number) => z.coerce.number().min(0).max(1).default(fallback),
};
