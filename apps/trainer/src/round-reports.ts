/** Reports the events of a round to the trainer's log, metrics and findings, and to the other stages. */
import type { Logger } from '#service/logger.js';
import type { TrainingIndex } from '#index/training-index.js';
import type { RoundEvent } from './compute-client.js';
import type { RoundAnnouncer } from './round-announcer.js';
import type { RoundFindings } from './round-findings.js';
import type { RoundTrace } from './round-trace.js';
import type { TrainerMetrics } from './trainer-metrics.js';

interface Listeners {
  logger: Logger;
  metrics: TrainerMetrics;
  findings: RoundFindings;
  announcer: RoundAnnouncer;
}

interface RoundSurroundings {
  runId: string;
  backend: string;
  trace: RoundTrace | undefined;
  index: TrainingIndex;
}

export class RoundReports {
  constructor(private readonly listeners: Listeners) {}

  report(event: RoundEvent, { runId, backend, trace, index }: RoundSurroundings): void {
    const { logger, metrics, findings, announcer } = this.listeners;
    const about = { runId, at: new Date().toISOString() };
    metrics.observe(event);
    switch (event.type) {
      case 'storeCalled':
      case 'retried':
        return;
      case 'roundStarted': {
        const { round, step, steps, tiles, freshTiles, speakers, checkedOn } = event;
        logger.info({ round, step, steps, tiles, freshTiles, speakers, checkedOn }, 'round started');
        trace?.started(event);
        findings.roundStarted(speakers);
        return announcer.tell({ ...event, type: 'RoundStarted', ...about });
      }
      case 'stepTrained': {
        for (const finding of findings.stepTrained(event.losses)) logger.warn({ step: event.step }, finding);
        const found = findings.all;
        metrics.found(found);
        return announcer.tell({ ...event, type: 'StepTrained', ...about, findings: found });
      }
      case 'checked': {
        const { step, ua, bestStep, bestUa } = event;
        logger.info({ step, ua, bestStep, bestUa }, 'checked on dev speakers');
        return announcer.tell({ ...event, type: 'DevChecked', ...about });
      }
      case 'erased': {
        const { step, utterances } = event;
        return logger.info({ step, utterances }, 'erased utterances from the round; no further batch contains them');
      }
      case 'roundFinished': {
        findings.roundFinished();
        trace?.finished(event);
        const { round, step, wallSec, tilesPerSec, waitShare, ended, bestStep, losses } = event;
        logger.info({ round, step, wallSec, tilesPerSec, waitShare, ended, bestStep, losses }, 'round finished');
        return announcer.tell({ ...event, type: 'RoundFinished', ...about, backend: backend });
      }
      case 'saved':
        if (event.checkpoint.complete) announcer.tellOfModel(event.checkpoint, trace);
        return;
      case 'wentBack': {
        const { step, rateScale } = event;
        const finding = findings.wentBack(event);
        metrics.found(findings.all);
        return logger.warn({ step, rateScale }, finding);
      }
      case 'checkpointRefused':
        return logger.error({ code: 'CHECKPOINT_INVALID' }, event.why);
      case 'shardsGone':
        logger.warn({ shardIds: event.shardIds }, 'the store has lost shards; asking features to make them again');
        return announcer.askForShards(new Set(event.shardIds), index);
    }
  }
}
