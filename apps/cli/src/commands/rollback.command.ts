/** `undertone rollback`: makes the previous champion of a target the champion again. */
import { Command, Option } from 'nest-commander';
import { emotionTargets, type EmotionTarget } from '#contracts/labels.js';
import { connect } from '../connect.js';
import { crownByHand, planRollback } from '../crown-model.js';
import { oneOf, print, UndertoneCommand } from '../undertone-command.js';

@Command({ name: 'rollback', description: 'Make the previous champion of a target the champion again; repeat it to go back further' })
export class RollbackCommand extends UndertoneCommand {
  protected readonly example = './undertone rollback --target emotion';

  async run(_arguments: string[], { target }: { target?: EmotionTarget }): Promise<void> {
    const connections = connect();
    try {
      const { current, restored, checkpoint } = await planRollback(connections.store, target ?? null);
      const why = `Rolled back by hand from champion ${current.number} to champion ${restored.number}.`;
      const champion = await crownByHand(connections, checkpoint, { from: current, why, restores: restored.number });
      print(
        `${champion.model.runId}/${champion.model.step} is champion ${champion.number} of ${champion.target} again; it was number ${restored.number} before`,
      );
    } finally {
      connections.store.close();
    }
  }

  @Option({ flags: '--target <target>', description: `${emotionTargets.join(', ')} (default: the only target that has a champion)` })
  parseTarget(text: string): EmotionTarget {
    return oneOf(emotionTargets, text, '--target');
  }
}
