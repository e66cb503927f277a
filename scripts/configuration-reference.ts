/**
 * docs/configuration.md, made from the shapes that the programs parse the environment with. The page's defaults are the values
 * that an unset variable parses to.
 *
 * It lies in scripts/ because it imports all apps. It does not promise that it knows every variable; its spec looks for
 * variables that the code reads and the page lacks.
 */
import { relative } from 'node:path';
import { z } from 'zod';
import { ffmpegVariables } from '#audio/decode/ffmpeg-config.js';
import { compactionFields } from '#compaction/compaction-job.js';
import { platformVariables, setUpVariables } from '#embedded/set-up-variables.js';
import { awsSdkVariables, kafkaVariables, portVariables, serviceVariables, storeVariables } from '#service/connection-config.js';
import { httpAccessVariables } from '#service/http-access.js';
import { packageRoot } from '#service/package-root.js';
import type { VariableNotes } from '#service/read-config.js';
import { tracingVariables } from '#service/tracing-config.js';
import { cliVariables } from '../apps/cli/src/config.js';
import { demoDefaults } from '../apps/cli/src/run-demo.js';
import { evaluatorVariables } from '../apps/evaluator/src/config.js';
import { featuresVariables } from '../apps/features/src/config.js';
import { ingestVariables } from '../apps/ingest/src/config.js';
import { predictorVariables } from '../apps/predictor/src/config.js';
import { trainerVariables } from '../apps/trainer/src/config.js';
import { testVariables } from './test-variables.js';

export interface Section {
  title: string;
  /** A sentence that names the programs. */
  readBy: string;
  shape: z.ZodRawShape;
  /** Markdown under the table. */
  notes?: string;
}

export const sections: Section[] = [
  {
    title: 'Kafka and S3',
    readBy: 'Every service and every command that speaks to a stack reads these.',
    shape: { ...kafkaVariables, ...storeVariables, ...awsSdkVariables },
  },
  {
    title: 'HTTP and logs',
    readBy:
      'Every service reads these, but only its own port. The rules of the ports are in [operations.md](operations.md#http). `./undertone` sends the `API_TOKEN` of its environment.',
    shape: { ...portVariables, ...serviceVariables, ...httpAccessVariables },
  },
  {
    title: 'Traces',
    readBy:
      "Every service reads these. [tracing.md](tracing.md) explains traces, and names the variables that OpenTelemetry's own code reads.",
    shape: tracingVariables,
  },
  { title: 'ingest', readBy: 'Ingest reads these.', shape: ingestVariables },
  {
    title: 'features',
    readBy: 'Features reads these.',
    shape: { ...featuresVariables, ...ffmpegVariables },
    notes: `¹ The value is part of the feature settings (of ffmpeg, its version). A change makes all tiles anew, under a new consumer group. The trainer
turns to the new tiles of a corpus when they cover all of it; \`undertone reprocess\` shows the progress. \`predict\` and the predictor make tiles with
the settings that the model was trained with.`,
  },
  {
    title: 'trainer',
    readBy: `The trainer reads these. \`undertone compact\` reads ${namesOf(compactionFields)} too.`,
    shape: trainerVariables,
  },
  { title: 'evaluator', readBy: 'The evaluator reads these.', shape: evaluatorVariables },
  {
    title: 'predictor',
    readBy: 'The predictor reads these, and `TF_BACKEND`, `WEBGPU_DIR`, `SILERO_DIR` and `FFMPEG_BIN`.',
    shape: predictorVariables,
  },
  {
    title: '`undertone`',
    readBy: 'The command line reads these.',
    shape: cliVariables,
    notes: 'Two stacks on one machine need different values of `UNDERTONE_HOME` and of all seven ports.',
  },
  { title: 'Set-up', readBy: '`npm start`, `npm test` and `./undertone setup` read these.', shape: setUpVariables },
  { title: 'Node, TensorFlow and the operating system', readBy: 'All programs read these.', shape: platformVariables },
  {
    title: 'Tests and benchmarks',
    readBy: '`npm test`, `npm run test:containers`, `npm run chaos` and `npm run bench` read these.',
    shape: testVariables,
  },
];

/** @returns the page as Markdown */
export function configurationReference(): string {
  return [
    '<!-- `npm run reference` makes this page from the code. Do not edit it. -->',
    '# Configuration',
    'This page is for everyone who sets an environment variable. It lists each variable with its default, its unit and its reader.',
    `An empty variable counts as unset. If a variable is wrong, the program stops with \`CONFIG_INVALID\` and names every wrong variable.
A flag is \`true\`, \`false\`, \`1\` or \`0\`. The column "demo" has the values that \`npm start\` sets; your own value wins over them.
\`deploy/.env.example\` explains the further variables of the Compose file.`,
    ...sections.flatMap(sectionText),
  ].join('\n\n');
}

function sectionText({ title, readBy, shape, notes }: Section): string[] {
  const rows = Object.entries(shape).map(([name, schema]) => ({ name, schema, ...notesOf(schema), demo: demoValue(name) }));
  const hasDemo = rows.some(({ demo }) => demo !== '');
  const head = ['variable', 'default', ...(hasDemo ? ['demo'] : []), 'unit', 'meaning'];
  const cells = rows.map(({ name, schema, demo, unit = '', description = '' }) => [
    `\`${name}\``,
    shownDefaultOf(schema),
    ...(hasDemo ? [demo] : []),
    unit,
    description,
  ]);
  return [`## ${title}`, readBy, table(head, cells), ...(notes ? [notes] : [])];
}

export const notesOf = (schema: z.core.$ZodType): VariableNotes => (z.globalRegistry.get(schema) as VariableNotes | undefined) ?? {};

function shownDefaultOf(schema: z.core.$ZodType): string {
  const { shownDefault } = notesOf(schema);
  if (shownDefault !== undefined) return shownDefault;
  const parsed = z.safeParse(schema, undefined);
  if (!parsed.success) return 'required';
  const value = parsed.data;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '–';
  return typeof value === 'number' ? String(value) : `\`${String(value)}\``;
}

function demoValue(name: string): string {
  const value = demoDefaults[name];
  if (value === undefined) return '';
  if (/^\d+$/.test(value)) return value;
  return `\`${value.startsWith(packageRoot) ? relative(packageRoot, value) : value}\``;
}

function namesOf(shape: z.ZodRawShape): string {
  const names = Object.keys(shape).map((name) => `\`${name}\``);
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
