/** `undertone replay`: sends a hint at the object of each open dead letter, so that ingest tries the object again. */
import { Command, Option } from 'nest-commander';
import { failureSubject } from '#contracts/dead-letters.js';
import { errorCodes, PipelineError } from '#contracts/pipeline-error.js';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { subjectOf } from '#overview/letter-tally.js';
import { clearCrashCount } from '#storage/crash-counter.js';
import { contextOf } from '#streaming/trace-headers.js';
import { connect, readOverview, withPublisher } from '../connect.js';
import { planReplay, ReplayPlan } from '../replay-plan.js';
import { print, printLine, UndertoneCommand } from '../undertone-command.js';

@Command({ name: 'replay', description: 'Try the objects of dead letters again' })
export class ReplayCommand extends UndertoneCommand {
  protected readonly example = './undertone replay --code DECODER_MISSING';

  async run(_arguments: string[], { code, dryRun }: { code?: string; dryRun?: boolean }): Promise<void> {
    const connections = connect();
    const overview = await readOverview(connections);
    const refused: Parameters<typeof clearCrashCount>[1][] = [];
    const plan = new ReplayPlan(overview, {
      code,
      onLetter: (letter) => {
        if (dryRun) printLine(`${letter.code}  ${subjectOf(letter)}: ${letter.message}`);
        if (letter.code !== 'UNKNOWN_REPEATED') return;
        refused.push({ topicPrefix: connections.topicPrefix, stage: letter.stage, subject: failureSubject(letter, letter.origin) });
      },
    });
    await planReplay(connections, plan);
    const { keys, letters } = plan;
    if (!dryRun) {
      // A stage refuses a record that failed or crashed it too often, until its crash count is deleted.
      for (const place of refused) await clearCrashCount(connections.store, place);
      const hints = keys.map((key) => hintAt(key, 'replay', true));
      // The new try continues the trace of the first.
      const traceOf = ({ key }: ObjectHint) => contextOf({ traceparent: plan.traceparentOf(key) });
      await withPublisher(connections, (publisher) => publisher.publishApart(objectHints, hints, traceOf));
    }
    print(`${keys.length} objects ${dryRun ? 'would be' : 'are'} tried again (${letters} dead letters)`);
    connections.store.close();
  }

  @Option({ flags: '--code <code>', description: 'only dead letters with this error code' })
  parseCode(code: string): string {
    if (!Object.hasOwn(errorCodes, code))
      throw new PipelineError('CONFIG_INVALID', `--code ${code}: there is no such error code. docs/operations.md lists them.`);
    return code;
  }

  @Option({ flags: '--dry-run', description: 'list the dead letters, and change nothing' })
  parseDryRun(): boolean {
    return true;
  }
}
