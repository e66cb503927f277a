/** `undertone models`: lists each model whose round has finished, with its scores, and marks the champions. */
import { Command, Option } from 'nest-commander';
import type { EmotionTarget } from '#contracts/labels.js';
import type { HistoryPoint } from '#overview/overview-snapshot.js';
import { type Champion, championOf, listChampions } from '#evaluation/champions.js';
import { type Checkpoint, finishedModels, targetOf } from '#rounds/checkpoint-store.js';
import { connect, readOverview } from '../connect.js';
import { alignedTable } from '../results.js';
import { print, printAside, printJson, UndertoneCommand } from '../undertone-command.js';

@Command({ name: 'models', description: 'List all models with their scores, and mark the champion of each target' })
export class ModelsCommand extends UndertoneCommand {
  protected readonly example = './undertone models --json';

  async run(_arguments: string[], { json }: { json?: boolean }): Promise<void> {
    const connections = connect();
    try {
      const [overview, checkpoints, champions] = await Promise.all([
        readOverview(connections),
        finishedModels(connections.store, (why) => printAside(`! ${why}`)),
        listChampions(connections.store),
      ]);
      const models = checkpoints.map((checkpoint) => describe(checkpoint, overview.snapshot().history, champions));
      if (json) return printJson({ models, champions });
      if (models.length === 0)
        return print('There is no model yet: the first round has not finished. `./undertone status` shows its progress.');
      const head = ['run', 'round', 'step', 'saved', 'target', 'dev UA', 'test UA', 'tiles', 'champion'];
      print(alignedTable(head, models.map(rowOf)));
    } finally {
      connections.store.close();
    }
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts, with all champions and the reason for each' })
  parseJson(): boolean {
    return true;
  }
}

interface ModelDescription {
  runId: string;
  round: number;
  step: number;
  savedAt: string;
  target: EmotionTarget;
  /** UA of the emotion head by split; null if it was not scored there. */
  ua: { dev: number | null; test: number | null };
  tiles: Checkpoint['view']['tiles'];
  /** Its number as the present champion; null if it is not the champion. */
  champion: number | null;
}

function describe(checkpoint: Checkpoint, history: readonly HistoryPoint[], champions: readonly Champion[]): ModelDescription {
  const { runId, round, step, savedAt, view } = checkpoint;
  const target = targetOf(checkpoint);
  const uaOn = (split: string): number | null =>
    history.find((each) => each.runId === runId && each.step === step && each.task === target && each.split === split)?.ua ?? null;
  const champion = championOf(champions, target);
  const isChampion = champion?.model.runId === runId && champion.model.step === step;
  return {
    runId,
    round,
    step,
    savedAt,
    target,
    ua: { dev: uaOn('dev'), test: uaOn('test') },
    tiles: view.tiles,
    champion: isChampion ? champion.number : null,
  };
}

const percent = (share: number | null): string => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);

function rowOf({ runId, round, step, savedAt, target, ua, tiles, champion }: ModelDescription): string[] {
  return [
    runId,
    String(round),
    String(step),
    savedAt.slice(0, 19).replace('T', ' '),
    target,
    percent(ua.dev),
    percent(ua.test),
    `${tiles.labelled} + ${tiles.unlabelled}`,
    champion === null ? '' : `of ${target} (number ${champion})`,
  ];
}
