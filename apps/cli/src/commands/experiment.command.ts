/** `undertone experiment`: a table or a figure of the paper, from a file and a folder of shards. */
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
import { sampleCorpora, shardsOf } from '#experiments/sample-shards.js';
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

  @Option({ flags: '--local', description: 'run the jobs on this machine, also where a stack runs whose trainers could share them' })
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

/** @throws PipelineError CONFIG_INVALID where neither says which, or a corpus is none of the samples */
async function shardsFor(file: ExperimentFile, folder: string | undefined): Promise<string> {
  const from = folder ?? file.shards;
  if (from === undefined)
    throw new PipelineError(
      'CONFIG_INVALID',
      `Of which shards? Give --shards DIR (\`./undertone export --format shards --out DIR\` writes them), or start the stack whose bucket has them`,
    );
  if (from !== 'samples') return resolve(from);
  const named = [...new Set([file.corpus, ...file.auxiliary, file.testCorpus ?? []].flat())];
  const corpora = named.map((name) => {
    const found = sampleCorpora.find(({ corpus }) => corpus === name);
    if (found) return found;
    const known = sampleCorpora.map(({ corpus }) => corpus).join(', ');
    throw new PipelineError('CONFIG_INVALID', `${name} is none of the sample corpora (${known}): give --shards DIR with its shards`);
  });
  return shardsOf(corpora, featuresOf(file), {
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

/** Trainers share the bucket's shards: a folder of this machine, or samples made here, they do not have. */
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
  if (!results) throw new PipelineError('CONFIG_INVALID', `What was planned is gone from ${out}`);
  print((await renderReport(results, out)).join('\n'));
  if (results.missing.length === 0) return;
  print(`${counted(results.missing.length, 'job')} missing: the report is partial`);
  process.exitCode = exitCodes.failed;
}
