/** `undertone experiment`: runs a table or a figure of the paper from an experiment file and a folder of shards. */
import { existsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { cacheRoot } from '#embedded/cache-directory.js';
import { provisionTensorflow } from '#embedded/provision-tensorflow.js';
import { readExperimentResults } from '#experiments/experiment-folder.js';
import { type ExperimentFile, readExperimentFile } from '#experiments/experiment-file.js';
import { featuresOf, loadExperiment, tilesOfBucket, tilesOfFolder } from '#experiments/load-experiment.js';
import { renderReport } from '#experiments/render-report.js';
import { threadsOf, timeSteps } from '#experiments/run-local.js';
import { type CorpusFolder, sampleCorpora, shardsOf } from '#experiments/sample-shards.js';
import type { WorkerSetup } from '#experiments/worker-messages.js';
import type { Objects } from '#storage/object-store.js';
import { environment } from '../config.js';
import { connect } from '../connect.js';
import { describeExperiment, describeTime, distinctModels } from '../describe-experiment.js';
import { counted } from '../human-units.js';
import { backendWanted } from '../open-model.js';
import { readView } from '../read-view.js';
import { runHere, runOnTrainers } from '../run-experiment.js';
import { readStackNote } from '../stack-file.js';
import { exitCodes, print, printSetup, UndertoneCommand } from '../undertone-command.js';

interface ExperimentOptions {
  resume?: boolean;
  jobs?: number;
  dryRun?: boolean;
  local?: boolean;
  search?: boolean;
  out?: string;
  shards?: string;
}

/** Peak memory of one job that trains the paper's network. */
const jobMemoryBytes = 2 * 2 ** 30;

@Command({
  name: 'experiment',
  arguments: '<file>',
  description: "Run a table or a figure of the paper: train each setting on each fold, and report the scores beside the paper's",
})
export class ExperimentCommand extends UndertoneCommand {
  protected readonly example =
    './undertone experiment examples/sample-table-3.yaml\n  ./undertone experiment examples/paper-table-3-iemocap.yaml --shards shards/ --dry-run\n  ./undertone experiment examples/paper-table-3-iemocap.yaml --shards shards/ --resume';

  async run([path = '']: string[], options: ExperimentOptions): Promise<void> {
    const file = readExperimentFile(path);
    const { search = false, resume = false, dryRun = false } = options;
    const place = placeOf(file, options);
    const connections = place === 'trainers' ? connect() : null;
    const shards = connections ? null : await shardsFor(file, options.shards);
    const heldSince = new Date();
    const source = connections ? await tilesOfBucket(connections.store, await readView(connections)) : tilesOfFolder(shards ?? '');
    const loaded = loadExperiment(file, source, { search });
    print(describeExperiment(loaded));
    const parallel = options.jobs ?? defaultParallel();
    const backend = backendWanted();
    const childEnvironment = { ...environment, ...threadsOf(1) };
    if (dryRun || !connections) await prepareTensorflow();
    if (dryRun) {
      const timing = await timeSteps({ models: distinctModels(loaded), backend }, childEnvironment);
      print(describeTime(loaded, { parallel, timing }));
    } else {
      const out = resolve(options.out ?? join('experiments', file.name));
      const run = { loaded, search, resume, stop: stopSignal() };
      const setup: WorkerSetup = { source: { kind: 'folder', file, shards: shards ?? '', out, search }, backend };
      const results = connections
        ? await runOnTrainers(run, { connections, source, heldSince })
        : await runHere(run, { out, setup, parallel, environment: childEnvironment });
      await report(results, out);
    }
    connections?.store.close();
  }

  @Option({ flags: '--resume', description: 'continue the experiment in the output folder; finished jobs are not run again' })
  parseResume(): boolean {
    return true;
  }

  @Option({
    flags: '-j, --jobs <n>',
    description: 'how many jobs run at a time, each on one thread (default: as many as cores and memory allow)',
  })
  parseJobs(text: string): number {
    const jobs = Number(text);
    if (!Number.isInteger(jobs) || jobs < 1)
      throw new PipelineError('CONFIG_INVALID', `--jobs ${text}: expected a whole number, 1 or more`);
    return jobs;
  }

  @Option({ flags: '-n, --dry-run', description: 'print the jobs and how long they would take on this machine, and run none' })
  parseDryRun(): boolean {
    return true;
  }

  @Option({ flags: '--local', description: 'run the jobs on this machine, even if the trainers of a running stack could share them' })
  parseLocal(): boolean {
    return true;
  }

  @Option({ flags: '--search', description: 'choose alpha (and beta) by dev speakers; each job then trains once for each value' })
  parseSearch(): boolean {
    return true;
  }

  @Option({ flags: '-o, --out <dir>', description: 'folder for the results and the report (default: experiments/<name>)' })
  parseOut(folder: string): string {
    return folder;
  }

  @Option({ flags: '-s, --shards <dir>', description: 'a folder of shards (*.arrow), written by `undertone export --format shards`' })
  parseShards(folder: string): string {
    return folder;
  }
}

/** @throws PipelineError CONFIG_INVALID if neither the file nor --shards names shards, or a corpus has no folder */
async function shardsFor(file: ExperimentFile, folder: string | undefined): Promise<string> {
  const from = folder ?? file.shards;
  if (from === undefined)
    throw new PipelineError(
      'CONFIG_INVALID',
      `The experiment has no shards. Give --shards DIR (\`./undertone export --format shards --out DIR\` writes one), or start the stack whose bucket holds them.`,
    );
  if (from !== 'samples' && from !== 'corpora') return resolve(from);
  const named = [...new Set([file.corpus, ...file.auxiliary, file.testCorpus ?? []].flat())];
  const corpora = from === 'samples' ? named.map(sampleCorpus) : named.map(corpusFolder);
  return shardsOf(corpora, featuresOf(file), {
    cache: cacheRoot(environment),
    onMake: () => print(`· making tiles of ${named.join(', ')} …`),
  });
}

function sampleCorpus(name: string): CorpusFolder {
  const found = sampleCorpora.find(({ corpus }) => corpus === name);
  if (found) return found;
  const known = sampleCorpora.map(({ corpus }) => corpus).join(', ');
  throw new PipelineError('CONFIG_INVALID', `${name} is not one of the sample corpora (${known}). Give --shards DIR with its shards.`);
}

/** A corpus that the user has, in a folder of its name below `UNDERTONE_CORPORA`. */
function corpusFolder(name: string): CorpusFolder {
  const corpora = environment['UNDERTONE_CORPORA'];
  if (!corpora)
    throw new PipelineError(
      'CONFIG_INVALID',
      `The experiment needs recordings that do not come with Undertone. Set UNDERTONE_CORPORA to the folder in which ${name}/ lies (docs/corpora.md says where to get it), or give --shards DIR.`,
    );
  const folder = join(resolve(corpora), name);
  if (existsSync(folder)) return { corpus: name, folder };
  throw new PipelineError(
    'CONFIG_INVALID',
    `UNDERTONE_CORPORA is ${corpora}, and it has no folder ${name}. docs/corpora.md says where to get it.`,
  );
}

/** Without native TensorFlow an experiment takes days instead of hours. */
async function prepareTensorflow(): Promise<void> {
  const asked = environment['TF_BACKEND'];
  if (asked && asked !== 'node') return;
  try {
    const onMake = (): void => printSetup('TensorFlow  downloading 207 MB and compiling its binding …');
    await provisionTensorflow(cacheRoot(environment), environment, { onMake });
  } catch (error) {
    printSetup(`TensorFlow: ${(error as Error).message} (continuing with wasm or cpu, which are far slower)`, 'warning');
  }
}

function defaultParallel(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / jobMemoryBytes)));
}

/** Trainers read the shards of the bucket. They cannot read a folder of this machine, or samples made here. */
function placeOf({ shards }: ExperimentFile, { local, shards: named }: ExperimentOptions): 'here' | 'trainers' {
  if (local || named !== undefined || shards !== undefined) return 'here';
  return environment['KAFKA_BROKERS'] || readStackNote(environment) ? 'trainers' : 'here';
}

function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  return stopping.signal;
}

async function report(store: Objects, out: string): Promise<void> {
  const results = await readExperimentResults(store);
  if (!results)
    throw new PipelineError(
      'CONFIG_INVALID',
      `${out} no longer holds the experiment's plan, although it was written there. Run the experiment again.`,
    );
  print((await renderReport(results, out)).join('\n'));
  if (results.missing.length === 0) return;
  print(`${counted(results.missing.length, 'job')} not finished: the report is partial`);
  process.exitCode = exitCodes.failed;
}
