/** `undertone model-card`: writes a Markdown card about a model: its purpose, training data, scores and weaknesses. */
import { existsSync, writeFileSync } from 'node:fs';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { renderModelCard } from '#experiments/model-card.js';
import { readModelCard } from '#experiments/read-model-card.js';
import { sampleCorpora } from '#experiments/sample-shards.js';
import type { Objects } from '#storage/object-store.js';
import { FolderStore } from '#storage/folder-store.js';
import { connect } from '../connect.js';
import { ModelCommand } from '../model-command.js';
import { chooseModel, type ModelChoice } from '../open-model.js';
import { print } from '../undertone-command.js';

interface ModelCardOptions extends ModelChoice {
  out?: string;
  synthetic?: string[];
}

@Command({
  name: 'model-card',
  description: 'Write a card about the champion or another model: its purpose, training data, scores and weaknesses',
})
export class ModelCardCommand extends ModelCommand {
  protected readonly example = './undertone model-card\n  ./undertone model-card --model main-1a2b3c4d5e6f/500 --out MODEL_CARD.md';

  async run(_arguments: string[], { out, synthetic = [], from, ...choice }: ModelCardOptions): Promise<void> {
    if (out !== undefined && existsSync(out))
      throw new PipelineError('CONFIG_INVALID', `${out} exists already. Name another file, or remove it.`);
    if (from !== undefined && !existsSync(from)) throw new PipelineError('CONFIG_INVALID', `--from ${from}: there is no such folder`);
    const connections = from === undefined ? connect() : undefined;
    const store: Objects = connections?.store ?? new FolderStore(from as string);
    try {
      const found = await chooseModel(store, choice);
      if (!found)
        throw new PipelineError('CONFIG_INVALID', 'There is no model yet: the first round has not finished. Try again when it has.');
      const syntheticCorpora = [...sampleCorpora.map(({ corpus }) => corpus), ...synthetic];
      const card = renderModelCard(await readModelCard(store, found.checkpoint, { syntheticCorpora }));
      if (out === undefined) return print(card.trimEnd());
      writeFileSync(out, card);
      print(`The card of ${found.checkpoint.runId}/${found.checkpoint.step} (${found.chosen}) is in ${out}`);
    } finally {
      connections?.store.close();
    }
  }

  @Option({ flags: '-o, --out <file>', description: 'the file to create (default: print the card)' })
  parseOut(file: string): string {
    return file;
  }

  @Option({
    flags: '--synthetic <corpus...>',
    description: 'further corpora, beside the samples, that the card marks as synthetic voices',
  })
  parseSynthetic(corpus: string, before: string[] = []): string[] {
    return [...before, corpus];
  }
}
