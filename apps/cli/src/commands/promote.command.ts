/** `undertone promote`: a person makes a model the champion of its target, whatever its scores. */
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { currentChampion } from '#evaluation/champions.js';
import { targetOf } from '#rounds/checkpoint-store.js';
import { connect } from '../connect.js';
import { confirmed, crownByHand } from '../crown-model.js';
import { findModel } from '../find-model.js';
import { print, printLine, UndertoneCommand } from '../undertone-command.js';

interface PromoteOptions {
  yes?: boolean;
  why?: string;
}

@Command({ name: 'promote', arguments: '<run/step>', description: 'Make a model the champion of its target, whatever its scores' })
export class PromoteCommand extends UndertoneCommand {
  protected readonly example = './undertone promote main-b79606fb3afe/800 --why "It was better on our own calls."';

  async run([name = '']: string[], { yes, why = 'Promoted by hand.' }: PromoteOptions): Promise<void> {
    const connections = connect();
    try {
      const checkpoint = await findModel(connections.store, name);
      const target = targetOf(checkpoint);
      const from = await currentChampion(connections.store, target);
      const { runId, step } = checkpoint;
      if (from?.model.runId === runId && from.model.step === step)
        throw new PipelineError('CONFIG_INVALID', `${runId}/${step} is the champion of ${target} already (number ${from.number}).`);
      const instead = from ? ` in place of ${from.model.runId}/${from.model.step} (number ${from.number})` : '';
      if (!yes && !(await confirmed(`Make ${runId}/${step} the champion of ${target}${instead}?`))) return print('Nothing was changed.');
      const champion = await crownByHand(connections, checkpoint, { from, why });
      printLine(`${runId}/${step} is champion ${champion.number} of ${target}${instead}`);
    } finally {
      connections.store.close();
    }
  }

  @Option({ flags: '-y, --yes', description: 'do not ask for confirmation' })
  parseYes(): boolean {
    return true;
  }

  @Option({ flags: '--why <text>', description: 'the reason, stored with the champion' })
  parseWhy(text: string): string {
    if (text.trim() === '') throw new PipelineError('CONFIG_INVALID', '--why: expected a reason in a few words, and got an empty text');
    return text;
  }
}
