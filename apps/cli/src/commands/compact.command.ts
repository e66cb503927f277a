/** `undertone compact`: rewrites shards without erased or superseded tiles, merges small shards, and deletes useless objects. */
import { hostname } from 'node:os';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { readConfig } from '#service/read-config.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import {
  compactionFields,
  CompactionJob,
  compactionSettings,
  type CompactionOptions,
  type CompactionProgress,
  type CompactionReport,
} from '#compaction/compaction-job.js';
import { connect, quietLogger, refuseMissingTopics } from '../connect.js';
import { asBytes, asDuration, counted } from '../human-units.js';
import { printAside, printJson, printLine, UndertoneCommand } from '../undertone-command.js';

interface Options {
  dryRun?: boolean;
  grace?: number;
  wait?: boolean;
  json?: boolean;
}

const progressIntervalMs = 2_000;

@Command({ name: 'compact', description: 'Rewrite shards without erased and superseded tiles, merge small ones, delete useless objects' })
export class CompactCommand extends UndertoneCommand {
  protected readonly example = './undertone compact --dry-run';

  async run(_arguments: string[], { dryRun = false, grace, wait = false, json = false }: Options): Promise<void> {
    const connections = connect();
    const { kafka, topicPrefix, store, environment } = connections;
    const settings = compactionSettings(readConfig(compactionFields, environment));
    if (grace !== undefined) settings.graceMs = grace * 1000;
    await refuseMissingTopics(connections);
    const publisher = new Publisher<'cli'>(kafka, topicPrefix);
    await publisher.connect();
    const follower = new TableFollower(kafka, topicPrefix, 'compaction', quietLogger);
    const holder = `undertone compact of ${hostname()}:${process.pid}`;
    const job = new CompactionJob({ store, publisher, follower, topicPrefix, holder, settings });
    try {
      await job.start();
      const report = await job.run({ dryRun, ...spokenOf({ wait, json }) });
      if (json) printJson({ dryRun, graceSec: settings.graceMs / 1000, ...report });
      else for (const line of linesOf(report, dryRun, settings.graceMs / 1000)) printLine(line);
    } finally {
      await job.stop();
      await publisher.close();
      store.close();
    }
  }

  @Option({ flags: '--dry-run', description: 'print what compaction would do, and change nothing' })
  parseDryRun(): boolean {
    return true;
  }

  @Option({
    flags: '--grace <seconds>',
    description: 'delete objects that have been useless for this many seconds (default: COMPACTION_GRACE, an hour)',
  })
  parseGrace(seconds: string): number {
    const grace = Number(seconds);
    if (!(grace >= 0)) throw new PipelineError('CONFIG_INVALID', `--grace ${seconds}: expected a number of seconds, 0 or more`);
    return grace;
  }

  @Option({ flags: '--wait', description: 'if another process compacts, wait for its end; without this option the command fails' })
  parseWait(): boolean {
    return true;
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts' })
  parseJson(): boolean {
    return true;
  }
}

/** Prints waiting and progress on stderr, so that stdout holds the report alone. */
function spokenOf({ wait, json }: { wait: boolean; json: boolean }): CompactionOptions {
  let waitedFor = '';
  let spokeAtMs = performance.now();
  const tell = (line: string): void => printAside(`· ${line}`);
  return {
    onWait: (by) => {
      if (!wait)
        throw new PipelineError('LEASE_HELD', `${by} is compacting. Run the command again later, or add --wait to wait for its end.`);
      if (waitedFor !== by) tell(`waiting for ${by}, which is compacting`);
      waitedFor = by;
    },
    onProgress: ({ doing, done, of }: CompactionProgress) => {
      if (json || performance.now() - spokeAtMs < progressIntervalMs) return;
      spokeAtMs = performance.now();
      tell(`${doing}: ${done}${of === null ? '' : ` of ${of}`}`);
    },
  };
}

function linesOf(report: CompactionReport, dryRun: boolean, graceSec: number): string[] {
  const { dropped, unreadable, notSwept } = report;
  const would = dryRun ? 'would be ' : '';
  const reasons = Object.entries(dropped).flatMap(([why, tiles]) => (tiles > 0 ? [`${tiles} ${why}`] : []));
  const deleted = report.shardsDeleted + report.predictionsDeleted;
  return [
    `  shards   ${report.shardsBefore} before, ${report.shardsAfter} after: ${report.written} ${would}written, ${report.withdrawn} ${would}withdrawn`,
    `  tiles    ${report.tilesBefore} before; ${reasons.length > 0 ? `${reasons.join(', ')} ${would}dropped` : 'none to drop'}`,
    `  objects  ${deleted} ${would}deleted (${counted(report.shardsDeleted, 'shard')}, ${counted(report.predictionsDeleted, 'predictions file')}), ${asBytes(report.bytesFreed)} ${would}freed`,
    ...(report.waiting > 0
      ? [
          `           ${report.waiting} useless, kept until they have been useless for ${asDuration(graceSec)}${report.heldByReaders > 0 ? `; ${report.heldByReaders} may still be read by a round, an experiment or an export` : ''}`,
        ]
      : []),
    ...report.retired.map(
      (each) => `  settings ${spoken(each)} ${would}withdrawn: no corpus has used these feature settings since ${each.since}`,
    ),
    ...report.abandoned.map(
      (each) => `  settings ${spoken(each)} kept until ${each.until} or later: no corpus uses these feature settings any more`,
    ),
    ...(unreadable.length > 0
      ? [`  ! ${counted(unreadable.length, 'shard')} could not be read; the trainer asks features to make them again`]
      : []),
    ...(notSwept ? [`  ! no object was deleted: ${notSwept}`] : []),
  ];
}

const spoken = ({ settingsHash, shards, sizeBytes }: CompactionReport['retired'][number]): string =>
  `${settingsHash}: ${counted(shards, 'shard')}, ${asBytes(sizeBytes)},`;
