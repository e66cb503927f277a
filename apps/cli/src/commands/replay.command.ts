/** `undertone replay`: another try for dead letters, by a hint at each object as it is now. */
import { Command, Option } from 'nest-commander';
import { failureSubject } from '#contracts/dead-letters.js';
import { errorCodes, PipelineError } from '#contracts/pipeline-error.js';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { subjectOf } from '#overview/pipeline-overview.js';
import { forgetCrashes } from '#storage/crash-counter.js';
import { contextOf } from '#streaming/trace-headers.js';
import { connect, readOverview, withPublisher } from '../connect.js';
import { print, UndertoneCommand } from '../undertone-command.js';

@Command({ name: 'replay', description: 'Give dead letters another try' })
export class ReplayCommand extends UndertoneCommand {
  protected readonly example = './undertone replay --code DECODER_MISSING';

  async run(_arguments: string[], { code, dryRun }: { code?: string; dryRun?: boolean }): Promise<void> {
    const connections = connect();
    const letters = (await readOverview(connections)).unresolvedDeadLetters.filter((letter) => !code || letter.code === code);
    const keys = [...new Set(letters.flatMap((letter) => letter.objectKey ?? []))].sort();
    if (dryRun) for (const letter of letters) print(`${letter.code}  ${subjectOf(letter)}: ${letter.message}`);
    else {
      // What had failed or killed its stage too often is refused until its count is gone.
      for (const letter of letters.filter(({ code: each }) => each === 'UNKNOWN_REPEATED')) {
        const place = { topicPrefix: connections.topicPrefix, stage: letter.stage, subject: failureSubject(letter, letter.origin) };
        await forgetCrashes(connections.store, place);
      }
      const hints = keys.map((key) => hintAt(key, 'replay', true));
      const traceparents = new Map(letters.map(({ objectKey, traceparent }) => [objectKey, traceparent]));
      // Another try goes on in the trace of the first.
      const traceOf = ({ key }: ObjectHint) => contextOf({ traceparent: traceparents.get(key) });
      await withPublisher(connections, (publisher) => publisher.publishApart(objectHints, hints, traceOf));
    }
    print(`${keys.length} objects ${dryRun ? 'would be' : 'are'} looked at again (${letters.length} dead letters)`);
    connections.store.close();
  }

  @Option({ flags: '--code <code>', description: 'only those with this error code' })
  parseCode(code: string): string {
    if (!Object.hasOwn(errorCodes, code)) throw new PipelineError('CONFIG_INVALID', `--code ${code}: there is no such error code`);
    return code;
  }

  @Option({ flags: '--dry-run', description: 'only list them' })
  parseDryRun(): boolean {
    return true;
  }
}
