/** `undertone lineage`: prints which utterances a model was trained on, or which models were trained on an utterance. */
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Checkpoint } from '#rounds/checkpoint-store.js';
import { type Lineage, lineageOf, modelsThatSaw } from '#rounds/lineage.js';
import { connect } from '../connect.js';
import { findModel } from '../find-model.js';
import { counted } from '../human-units.js';
import { alignedTable } from '../results.js';
import { print, printJson, printLine, UndertoneCommand } from '../undertone-command.js';

interface LineageOptions {
  utterance?: string;
  from?: string;
  json?: boolean;
}

@Command({
  name: 'lineage',
  arguments: '[model]',
  description: 'Print the utterances, settings and code that made a model, or the models that were trained on an utterance',
})
export class LineageCommand extends UndertoneCommand {
  protected readonly example =
    './undertone lineage main-1a2b3c4d5e6f/500\n  ./undertone lineage main-1a2b3c4d5e6f/500 --json > lineage.json\n  ./undertone lineage --utterance calls/2026/a1.wav';

  async run([model]: string[], { utterance, from, json = false }: LineageOptions): Promise<void> {
    if ((model === undefined) === (utterance === undefined)) {
      throw new PipelineError(
        'CONFIG_INVALID',
        'Name one of the two: a model as RUN/STEP (`undertone models` lists them), or an utterance with --utterance ID.',
      );
    }
    const connections = from === undefined ? connect() : undefined;
    const store: Objects = connections?.store ?? new FolderStore(from as string);
    try {
      if (utterance !== undefined) await printModelsThatSaw(store, utterance, json);
      else await printLineage(store, await findModel(store, model as string), json);
    } finally {
      connections?.store.close();
    }
  }

  @Option({ flags: '-u, --utterance <id>', description: '<corpus>/<path inside the corpus>; erased utterances work too' })
  parseUtterance(id: string): string {
    return id;
  }

  @Option({ flags: '--from <dir>', description: 'a folder written by `undertone train` (default: the running stack)' })
  parseFrom(folder: string): string {
    return folder;
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts, with every utterance version by round and shard' })
  parseJson(): boolean {
    return true;
  }
}

async function printModelsThatSaw(store: Objects, utteranceId: string, json: boolean): Promise<void> {
  const found = await modelsThatSaw(store, utteranceId);
  if (json) return printJson({ utteranceId, seenBy: found });
  if (found.length === 0) return printLine(`No run was trained on ${utteranceId}.`);
  const rows = found.map(({ runId, version, round, models }) => [runId, version, String(round), models.join(', ') || 'none yet']);
  print(alignedTable(['run', 'version', 'since round', 'steps of finished models trained on it'], rows));
}

async function printLineage(store: Objects, checkpoint: Checkpoint, json: boolean): Promise<void> {
  const lineage = await lineageOf(store, checkpoint);
  if (json) return printJson(lineage);
  print(alignedTable(['', `${checkpoint.runId}/${checkpoint.step}`], [...rowsOf(lineage)]));
}

function* rowsOf({ checkpoint, parents, byCorpus, seen }: Lineage): Generator<string[]> {
  const { round, weightsStep, step, weights, savedAt, configHash, codeVersion, view, settingsHash, erasedInRound, parent } = checkpoint;
  yield ['round', `${round}${checkpoint.complete ? '' : ', unfinished'}; saved ${savedAt}`];
  yield [
    'weights',
    `${weights.sha256.slice(0, 16)}…${weightsStep === step ? '' : `, those of step ${weightsStep}, the best on dev speakers`}`,
  ];
  yield ['settings', `${configHash} (--json prints them all); features ${settingsHash}; code ${codeVersion}`];
  yield ['its round’s view', `${view.digest}: ${counted(view.utterances, 'utterance')}, including held-out ones`];
  const corpora = Object.entries(byCorpus).map(([corpus, versions]) => `${corpus} ${versions}`);
  yield [
    'trained on, in all',
    `${checkpoint.seen.digest.slice(0, 16)}…: ${counted(checkpoint.seen.versions, 'utterance version')} (${corpora.join(', ')})`,
  ];
  for (const part of seen) {
    const versions = Object.values(part.shards).reduce((sum, names) => sum + names.length, 0);
    yield [`  new in round ${part.round}`, `${versions} in ${counted(Object.keys(part.shards).length, 'shard')}`];
  }
  if (erasedInRound > 0)
    yield ['erased during the round', `${counted(erasedInRound, 'utterance')}; no other round can repeat this one exactly`];
  const chain = parents.map((each) => `step ${each.step} (round ${each.round})`).join(', ');
  yield [
    'continues from',
    chain || (parent ? `step ${parent.step}, which is no longer kept` : 'nothing: training began with fresh weights'),
  ];
}
