/** `undertone verify`: checks that nothing is lost. Live utterances = in shards + dead-lettered + in flight. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'nest-commander';
import { corporaPrefix, parseCorpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { corpusReaders } from '#corpora/corpus-readers.js';
import { leftOutOf } from '#corpora/takes.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';
import type { ObjectStore } from '#storage/object-store.js';
import { connect, describeGaps, followedOverview, refuseMissingTopics } from '../connect.js';
import { exitCodes, print, printJson, printLine, UndertoneCommand } from '../undertone-command.js';

const mostNamed = 20;

@Command({
  name: 'verify',
  description: 'Check that every recording in the bucket is in a shard or dead-lettered; exit 1 if some are still in flight',
})
export class VerifyCommand extends UndertoneCommand {
  protected readonly example = './undertone verify --wait 60';

  async run(_arguments: string[], { wait = 0, json }: { wait?: number; json?: boolean }): Promise<void> {
    const connections = connect();
    await refuseMissingTopics(connections);
    const { overview, follower } = followedOverview(connections);
    await follower.start();
    const deadline = performance.now() + wait * 1000;
    let inFlight = await stillInFlight(overview, connections.store);
    while (inFlight.length > 0 && performance.now() < deadline) {
      await sleep(500);
      inFlight = await stillInFlight(overview, connections.store);
    }
    await follower.stop();
    connections.store.close();
    const { inShards, deadLettered } = overview.reconcile();
    const utterances = inShards + deadLettered + inFlight.length;
    if (json) printJson({ utterances, inShards, deadLettered, inFlight });
    else {
      print(`${utterances} utterances = ${inShards} in shards + ${deadLettered} dead-lettered + ${inFlight.length} in flight`);
      for (const utteranceId of inFlight.slice(0, mostNamed)) printLine(`  in flight: ${utteranceId}`);
      if (inFlight.length > mostNamed) print(`  … and ${inFlight.length - mostNamed} more`);
      const gaps = describeGaps(follower);
      if (gaps) print(`  ! ${gaps}`);
    }
    if (inFlight.length > 0) process.exitCode = exitCodes.failed;
  }

  @Option({ flags: '--wait <seconds>', description: 'how long to wait for utterances in flight' })
  parseWait(seconds: string): number {
    const wait = Number(seconds);
    if (!(wait >= 0)) throw new PipelineError('CONFIG_INVALID', `--wait ${seconds}: expected a number of seconds, 0 or more`);
    return wait;
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts' })
  parseJson(): boolean {
    return true;
  }
}

/** Known utterances that are neither in a shard nor dead-lettered, and audio in the bucket that ingest has not decided about yet. */
async function stillInFlight(overview: PipelineOverview, store: ObjectStore): Promise<string[]> {
  const paths = new Map<string, string[]>();
  for await (const { key } of store.list(corporaPrefix)) {
    const place = parseCorpusKey(key);
    if (!place || !isAudioPath(place.path)) continue;
    const known = paths.get(place.corpus) ?? [];
    paths.set(place.corpus, known);
    known.push(place.path);
  }
  const undecided = [...paths].flatMap(([corpus, ofCorpus]) => {
    const unknown = ofCorpus.filter((path) => !overview.knows(utteranceIdOf(corpus, path)));
    if (unknown.length === 0) return [];
    const leftOut = new Set(corpusReaders.flatMap((reader) => leftOutOf(reader, ofCorpus).map(([path]) => path)));
    return unknown.filter((path) => !leftOut.has(path)).map((path) => utteranceIdOf(corpus, path));
  });
  return [...overview.reconcile().inFlight, ...undecided];
}
