/** `undertone experiment`: a table or a figure of the paper, from a file and a folder of shards. */
import { existsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { cacheRoot } from '#embedded/cache-directory.js';
import { provisionTensorflow } from '#embedded/provision-tensorflow.js';
import { hasPlan, readExperimentResults, recordedPlan, writePlan } from '#experiments/experiment-folder.js';
import { type ExperimentFile, readExperimentFile } from '#experiments/experiment-file.js';
import { readJobResult } from '#experiments/job-results.js';
import { featuresOf, type LoadedExperiment, loadExperiment } from '#experiments/load-experiment.js';
import { renderReport } from '#experiments/render-report.js';
import { runLocally, threadsOf, timeSteps } from '#experiments/run-local.js';
import { sampleCorpora, shardsOf } from '#experiments/sample-shards.js';
import type { WorkerSetup } from '#experiments/worker-messages.js';
import { FolderStore } from '#storage/folder-store.js';
import { environment } from '../config.js';
import { describeExperiment, describeTime, distinctModels } from '../describe-experiment.js';
import { ExperimentDisplay } from '../experiment-display.js';
import { counted } from '../human-units.js';
import { backendWanted } from '../open-model.js';
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

/** Of a job of the paper's network at work. */
const jobMemoryBytes = 2 * 2 ** 30;

@Command({
  name: 'experiment',
  arguments: '<file>',
  description: "A table or a figure of the paper: folds × settings on a folder of shards, and a report beside the paper's numbers",
})
export class ExperimentCommand extends UndertoneCommand {
  protected readonly example =
    './undertone experiment examples/sample-table-3.yaml\n  ./undertone experiment examples/paper-table-3-iemocap.yaml --shards shards/ --dry-run\n  ./undertone experiment examples/paper-table-3-iemocap.yaml --shards shards/ --resume';

  async run([path = '']: string[], options: ExperimentOptions): Promise<void> {
    const file = readExperimentFile(path);
    const search = options.search ?? false;
    const shards = await shardsFor(file, options.shards);
    const loaded = loadExperiment(file, shards, { search });
    print(describeExperiment(loaded));
    await prepareTensorflow();
    const parallel = options.jobs ?? defaultParallel();
    const backend = backendWanted();
    const childEnvironment = { ...environment, ...threadsOf(1) };
    if (options.dryRun)
      return print(
        await describeTime(loaded, { parallel, timing: await timeSteps({ models: distinctModels(loaded), backend }, childEnvironment) }),
      );
    const out = options.out ?? join('experiments', file.name);
    const setup: WorkerSetup = { file, shards, out: resolve(out), search, backend };
    await runHere(loaded, { setup, parallel, childEnvironment, resume: options.resume ?? false });
  }

  @Option({ flags: '--resume', description: 'go on with what is in the folder already; jobs that are done stay done' })
  parseResume(): boolean {
    return true;
  }

  @Option({ flags: '-j, --jobs <n>', description: 'jobs at a time, each on one thread; as many as cores and memory allow if not given' })
  parseJobs(text: string): number {
    const jobs = Number(text);
    if (!Number.isInteger(jobs) || jobs < 1)
      throw new PipelineError('CONFIG_INVALID', `--jobs ${text}: it must be a whole number from 1 on`);
    return jobs;
  }

  @Option({ flags: '-n, --dry-run', description: 'say which jobs there are and how long they take here, and run none' })
  parseDryRun(): boolean {
    return true;
  }

  @Option({ flags: '--local', description: 'run the jobs on this machine' })
  parseLocal(): boolean {
    return true;
  }

  @Option({ flags: '--search', description: 'choose alpha (and beta) on dev speakers, as many trainings a job as there are values' })
  parseSearch(): boolean {
    return true;
  }

  @Option({ flags: '-o, --out <dir>', description: 'where results and the report go; experiments/<name> if not given' })
  parseOut(folder: string): string {
    return folder;
  }

  @Option({ flags: '-s, --shards <dir>', description: 'a folder of shards (*.arrow), as `undertone export --format shards` writes it' })
  parseShards(folder: string): string {
    return folder;
  }
}

/** @throws PipelineError CONFIG_INVALID where neither says which */
async function shardsFor(file: ExperimentFile, named: string | undefined): Promise<string> {
  const from = named ?? file.shards;
  if (from === undefined)
    throw new PipelineError(
      'CONFIG_INVALID',
      `Of which shards? Give --shards DIR: \`./undertone put\` the corpora, then \`./undertone export DIR --format shards\``,
    );
  if (from !== 'samples') return resolve(from);
  return shardsOf(sampleCorpora, featuresOf(file), {
    cache: cacheRoot(environment),
    onMake: () => print('· tiles of the sample corpora …'),
  });
}

/** An experiment without it would take days for hours. */
async function prepareTensorflow(): Promise<void> {
  const asked = environment['TF_BACKEND'];
  if (asked && asked !== 'node') return;
  try {
    const onMake = (): void => printSetup('TensorFlow  fetching 207 MB and compiling its binding …');
    await provisionTensorflow(cacheRoot(environment), environment, { onMake });
  } catch (error) {
    printSetup(`TensorFlow: ${(error as Error).message} (going on with wasm or cpu, which are far slower)`, 'warning');
  }
}

function defaultParallel(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / jobMemoryBytes)));
}

async function runHere(
  { file, data, plan }: LoadedExperiment,
  run: { setup: WorkerSetup; parallel: number; childEnvironment: Record<string, string | undefined>; resume: boolean },
): Promise<void> {
  const { setup, parallel, childEnvironment, resume } = run;
  const { out, search } = setup;
  const store = new FolderStore(out);
  if ((await hasPlan(store)) && !resume)
    throw new PipelineError('CONFIG_INVALID', `${out} holds an experiment already: --resume goes on with it, --out names another folder`);
  await writePlan(store, recordedPlan(file, data, plan, { search }));
  const earlier = (await Promise.all(plan.jobs.map(({ job }) => readJobResult(store, job.jobId)))).filter((result) => result !== null);
  const done = new Set(earlier.map(({ job }) => job.jobId));
  const jobs = plan.jobs.filter(({ job }) => !done.has(job.jobId));
  if (done.size > 0) print(`${counted(done.size, 'job')} of ${plan.jobs.length} done before`);
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  process.once('SIGTERM', () => stopping.abort());
  const display = new ExperimentDisplay(process.stdout, plan.rows, plan.jobs, { steps: file.steps, earlier });
  const failed = await runLocally({
    setup,
    jobs,
    parallel,
    environment: childEnvironment,
    onProgress: (jobId, progress) => display.progress(jobId, progress),
    onDone: (result) => display.finished(result),
    stop: stopping.signal,
  }).finally(() => display.clear());
  print(display.table().join('\n'));
  for (const { jobId, why } of failed) print(`✗ job ${jobId}: ${why}`);
  if (stopping.signal.aborted) print('Stopped. --resume goes on from here.');
  const results = await readExperimentResults(store);
  if (!results) throw new PipelineError('CONFIG_INVALID', `${out} is gone`);
  const written = await renderReport(results, out);
  print(written.filter((path) => existsSync(path)).join('\n'));
  if (results.missing.length > 0) {
    print(`${counted(results.missing.length, 'job')} missing: the report is partial`);
    process.exitCode = exitCodes.failed;
  }
}
