/** Shows the progress of the pipeline: a terminal gets one block that is redrawn, other outputs get a line now and then. */
import { emotionTargets } from '#contracts/labels.js';
import { printable } from '#contracts/printable.js';
import type { ChildStatus } from '#embedded/supervisor.js';
import type { OverviewSnapshot } from '#overview/overview-snapshot.js';

const barWidth = 28;
const lineIntervalMs = 5_000;

function bar(done: number, of: number): string {
  const filled = of > 0 ? Math.round((Math.min(done, of) / of) * barWidth) : 0;
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
}

export function progressLines(snapshot: OverviewSnapshot, expected: { utterances: number }, children: readonly ChildStatus[]): string[] {
  const { reconciliation, streams, training, evaluations } = snapshot;
  const settled = reconciliation.inShards + reconciliation.deadLettered;
  const { started, steps } = training;
  const lastStep = steps.at(-1);
  const roundSteps = started?.steps ?? 0;
  const stepInRound = started && lastStep ? Math.max(0, lastStep.step - started.step) : 0;
  const losses = lastStep
    ? Object.entries(lastStep.losses).flatMap(([part, loss]) =>
        loss === null || part === 'discriminatorAccuracy' ? [] : [`${part} ${loss.toFixed(3)}`],
      )
    : [];
  const emotion = evaluations.find((each) => emotionTargets.some((target) => target === each.task) && each.split === 'dev');
  const lines = [
    `  ingest     ${bar(reconciliation.utterances, expected.utterances)}  ${reconciliation.utterances} of ${expected.utterances} utterances`,
    `  features   ${bar(settled, reconciliation.utterances)}  ${reconciliation.inShards} in ${streams.labelled.shards + streams.unlabelled.shards} shards, ${streams.labelled.tiles} labelled and ${streams.unlabelled.tiles} unlabelled tiles${reconciliation.deadLettered > 0 ? `, ${reconciliation.deadLettered} dead-lettered` : ''}`,
    `  trainer    ${bar(stepInRound, roundSteps)}  ${started ? `round ${started.round}, step ${stepInRound} of ${roundSteps}` : 'waiting for shards'}${losses.length > 0 ? `  ${losses.slice(0, 5).join('  ')}` : ''}`,
    `  evaluator  ${emotion ? `${emotion.task} on dev speakers: UA ${(emotion.ua * 100).toFixed(1)} %` : 'waiting for a model'}`,
  ];
  const troubled = children.filter((child) => child.restarts > 0);
  return [
    ...lines,
    ...troubled.map((child) => `  ! ${child.name} was restarted ${child.restarts} times (${child.lastExit}); see ${child.logFile}`),
  ];
}

export class LiveProgress {
  private shown = 0;
  private lastLine = '';
  private lastAtMs = 0;

  constructor(private readonly out: NodeJS.WriteStream) {}

  show(given: string[]): void {
    const lines = given.map(printable);
    if (this.out.isTTY) {
      this.clear();
      this.out.write(`${lines.map((line) => line.slice(0, this.out.columns - 1)).join('\n')}\n`);
      this.shown = lines.length;
      return;
    }
    const line = lines
      .map((each) =>
        each
          .replaceAll(/[█░]+\s*/g, '')
          .trim()
          .replaceAll(/\s+/g, ' '),
      )
      .join(' | ');
    if (line === this.lastLine || performance.now() - this.lastAtMs < lineIntervalMs) return;
    this.lastLine = line;
    this.lastAtMs = performance.now();
    this.out.write(`${line}\n`);
  }

  clear(): void {
    if (this.shown > 0) this.out.write(`\u001b[${this.shown}A\u001b[J`);
    this.shown = 0;
  }
}
