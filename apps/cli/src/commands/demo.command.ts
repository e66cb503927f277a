/** `undertone demo`: starts the whole pipeline, trains on the sample corpora and prints the scores. `npm start` runs it. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { connect } from '../connect.js';
import { environment } from '../config.js';
import { resultsTable } from '../results.js';
import { demoDefaults, ownCorporaDefaults, runDemo } from '../run-demo.js';
import { Stack } from '../run-stack.js';
import { exitCodes, print, printSetup, UndertoneCommand } from '../undertone-command.js';
import { untilStopped } from '../until-stopped.js';

interface DemoOptions {
  once?: boolean;
  json?: string;
  labelled?: string;
  unlabelled?: string;
}

@Command({
  name: 'demo',
  description: 'Start the whole pipeline on this machine, train on the sample corpora, print the scores, then keep serving',
})
export class DemoCommand extends UndertoneCommand {
  protected readonly example =
    'npm start -- --once --json results.json\n  ./undertone demo --labelled ~/my-corpus --unlabelled ~/LibriSpeech';

  async run(_arguments: string[], options: DemoOptions): Promise<void> {
    const startedAtMs = performance.now();
    if (options.json) refuseUnwritable(options.json);
    const external = environment['KAFKA_BROKERS'] || environment['S3_ENDPOINT'];
    // An external broker or store outlives the demo, so the demo gets topics and a bucket of its own.
    const fresh: Record<string, string> = external
      ? { TOPIC_PREFIX: `undertone-demo-${Date.now()}`, S3_BUCKET: `undertone-demo-${Date.now()}` }
      : {};
    const defaults = options.labelled || options.unlabelled ? ownCorporaDefaults : demoDefaults;
    const stack = await Stack.start({ name: 'demo', fresh: true, environment, defaults: { ...defaults, ...fresh }, say: printSetup });
    const stopped = untilStopped();
    try {
      const demo = runDemo(stack, connect({ ...environment, ...stack.environment }), { corpora: options, say: printSetup, startedAtMs });
      const outcome = await Promise.race([demo, stopped]);
      if (!outcome) {
        process.exitCode = exitCodes.failed;
        return;
      }
      const { results, evaluations } = outcome;
      print(`\n${resultsTable(evaluations)}\n`);
      for (const [task, why] of Object.entries(whyNotScored))
        if (!evaluations[task as keyof typeof whyNotScored]) print(`  ${task} is not scored: ${why}`);
      if (!options.labelled && !options.unlabelled)
        print(
          '  The samples are synthetic voices (samples/README.md). These scores show that the pipeline works; they say nothing about real emotion.',
        );
      print(
        `  ${results.utterances} utterances, ${results.utterancesInShards} in shards, ${results.deadLetterCount} dead letters; ${results.backend} backend, ${results.wallSec['total']} s in all.`,
      );
      if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
      if (options.once) return;
      print(
        `\n  Dashboard: ${stack.dashboardUrl}\n  Logs: ${stack.logsDir}\n  Add recordings: ./undertone put DIR --corpus NAME (the next demo deletes them; \`./undertone up\` keeps them)\n  Ctrl-C stops everything.\n`,
      );
      await stopped;
    } finally {
      await stack.stop();
    }
  }

  @Option({ flags: '--once', description: 'stop everything after the table of results' })
  parseOnce(): boolean {
    return true;
  }

  @Option({ flags: '--json <file>', description: 'also write the results to a file' })
  parseJson(file: string): string {
    return file;
  }

  @Option({ flags: '--labelled <dir>', description: 'a folder of labelled recordings to use instead of the samples' })
  parseLabelled(folder: string): string {
    return folder;
  }

  @Option({ flags: '--unlabelled <dir>', description: 'a folder of unlabelled recordings to use instead of the samples' })
  parseUnlabelled(folder: string): string {
    return folder;
  }
}

const whyNotScored = {
  emotion: 'no utterance of a dev or test speaker carries an emotion. Give some speakers the split "test" in manifest.csv.',
  gender: 'no utterance of a dev or test speaker carries a gender.',
  speaker: 'no utterance of a training speaker was withheld. A hash withholds about a tenth; more utterances make one likely.',
};

/** Checks at the start, so that a wrong path does not fail after minutes of work. */
function refuseUnwritable(file: string): void {
  try {
    accessSync(dirname(resolve(file)), constants.W_OK);
  } catch (error) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `--json ${file}: cannot write to its folder. Name a file in a folder that exists and that you may write to.`,
      { cause: error },
    );
  }
}
