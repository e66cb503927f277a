/** `undertone demo`: what `npm start` runs. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { connect } from '../connect.js';
import { environment } from '../config.js';
import { resultsTable } from '../results.js';
import { demoDefaults, runDemo } from '../run-demo.js';
import { Stack } from '../run-stack.js';
import { exitCodes, print, printSetup, UndertoneCommand } from '../undertone-command.js';
import { untilStopped } from '../until-stopped.js';

interface DemoOptions {
  once?: boolean;
  json?: string;
  labelled?: string;
  unlabelled?: string;
}

@Command({ name: 'demo', description: 'Start everything on this machine, learn from the sample corpora, show the results, go on serving' })
export class DemoCommand extends UndertoneCommand {
  protected readonly example =
    'npm start -- --once --json results.json\n  ./undertone demo --labelled ~/my-corpus --unlabelled ~/LibriSpeech';

  async run(_arguments: string[], options: DemoOptions): Promise<void> {
    const startedAtMs = performance.now();
    if (options.json) refuseUnwritable(options.json);
    const external = environment['KAFKA_BROKERS'] || environment['S3_ENDPOINT'];
    // On a broker and a store that outlive it, a demo has topics and a bucket of its own.
    const fresh: Record<string, string> = external
      ? { TOPIC_PREFIX: `undertone-demo-${Date.now()}`, S3_BUCKET: `undertone-demo-${Date.now()}` }
      : {};
    const stack = await Stack.start({ name: 'demo', fresh: true, environment, defaults: { ...demoDefaults, ...fresh }, say: printSetup });
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
          '  The samples are synthetic voices (samples/README.md): these numbers say that the pipeline works, nothing of real emotion.',
        );
      print(
        `  ${results.utterances} utterances, ${results.utterancesInShards} in shards, ${results.deadLetterCount} dead letters; ${results.backend} backend, ${results.wallSec['total']} s in all.`,
      );
      if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
      if (options.once) return;
      print(
        `\n  Dashboard: ${stack.dashboardUrl}\n  Logs: ${stack.logsDir}\n  Add recordings: ./undertone put DIR --corpus NAME (gone at the next start; \`./undertone up\` keeps them)\n  Ctrl-C stops everything.\n`,
      );
      await stopped;
    } finally {
      await stack.stop();
    }
  }

  @Option({ flags: '--once', description: 'end after the table of results' })
  parseOnce(): boolean {
    return true;
  }

  @Option({ flags: '--json <file>', description: 'also write the results to a file' })
  parseJson(file: string): string {
    return file;
  }

  @Option({ flags: '--labelled <dir>', description: 'a folder of labelled recordings, instead of the samples' })
  parseLabelled(folder: string): string {
    return folder;
  }

  @Option({ flags: '--unlabelled <dir>', description: 'a folder of unlabelled recordings, instead of the samples' })
  parseUnlabelled(folder: string): string {
    return folder;
  }
}

const whyNotScored = {
  emotion: 'no utterance of a dev or test speaker carries an emotion. Give some speakers the split "test" in manifest.csv.',
  gender: 'no utterance of a dev or test speaker carries a gender.',
  speaker: 'no utterance of a known training speaker was withheld; about a tenth are, by a hash.',
};

/** Better now than after minutes of work. */
function refuseUnwritable(file: string): void {
  try {
    accessSync(dirname(resolve(file)), constants.W_OK);
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `--json ${file}: its folder cannot be written to`, { cause: error });
  }
}
