/** `undertone model-card`: what a model is for, what it has heard, how good it is and where it fails, as Markdown. */
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

@Command({ name: 'model-card', description: 'What the champion is for, what it has heard, how good it is and where it fails' })
export class ModelCardCommand extends ModelCommand {
  protected readonly example = './undertone model-card\n  ./undertone model-card --model main-1a2b3c4d5e6f/500 --out MODEL_CARD.md';

  async run(_arguments: string[], { out, synthetic = [], from, ...choice }: ModelCardOptions): Promise<void> {
    if (out !== undefined && existsSync(out))
      throw new PipelineError('CONFIG_INVALID', `${out} is there already; name another file, or remove it`);
    if (from !== undefined && !existsSync(from)) throw new PipelineError('CONFIG_INVALID', `${from} is not a folder`);
    const connections = from === undefined ? connect() : undefined;
    const store: Objects = connections?.store ?? new FolderStore(from as string);
    try {
      const found = await chooseModel(store, choice);
      if (!found) throw new PipelineError('CONFIG_INVALID', 'There is no model yet: a first round has to finish.');
      const syntheticCorpora = [...sampleCorpora.map(({ corpus }) => corpus), ...synthetic];
      const card = renderModelCard(await readModelCard(store, found.checkpoint, { syntheticCorpora }));
      if (out === undefined) return print(card.trimEnd());
      writeFileSync(out, card);
      print(`The card of ${found.checkpoint.runId}/${found.checkpoint.step} (${found.chosen}) is in ${out}`);
    } finally {
      connections?.store.close();
    }
  }

  @Option({ flags: '-o, --out <file>', description: 'a file that is made; printed if not given' })
  parseOut(file: string): string {
    return file;
  }

  @Option({
    flags: '--synthetic <corpus...>',
    description: 'corpora whose voices are synthetic, beside the samples; the card says so',
  })
  parseSynthetic(corpus: string, before: string[] = []): string[] {
    return [...before, corpus];
  }
}
