/** The predictor's HTTP routes. openapi.ts describes them. */
import { Controller, Get, HttpCode, HttpException, Inject, Param, Post, Query, Req, UseFilters } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { PipelineError } from '#contracts/pipeline-error.js';
import { MemoryBudget } from '#extraction/memory-budget.js';
import { codeVersion } from '#service/package-root.js';
import { RateLimit } from '#service/rate-limit.js';
import { AudioPredictor } from './audio-predictor.js';
import type { PredictorConfig } from './config.js';
import { describeChampion, describeModels, describeUtterance } from './describe-models.js';
import { openApiDocument } from './openapi.js';
import {
  type ChampionAnswer,
  type ModelsAnswer,
  type Prediction,
  predictQuerySchema,
  type PredictorStatus,
  type UtteranceAnswer,
} from './predictor-answers.js';
import { PREDICTOR_CONFIG, PredictorStage } from './predictor-stage.js';
import { ProblemFilter } from './problem.js';
import { readAsked } from './read-request.js';

@Controller()
@UseFilters(ProblemFilter)
export class PredictorController {
  private readonly limit: RateLimit;
  /** One request at a time reads a shard. */
  private readonly reading = new MemoryBudget(1);

  constructor(
    @Inject(PredictorStage) private readonly stage: PredictorStage,
    @Inject(AudioPredictor) private readonly predictor: AudioPredictor,
    @Inject(PREDICTOR_CONFIG) { requestsPerSecond }: PredictorConfig,
  ) {
    this.limit = new RateLimit({ perSecond: requestsPerSecond, burst: 2 * requestsPerSecond });
  }

  @Post('predict')
  @HttpCode(200)
  async predict(@Req() request: IncomingMessage & { body?: unknown }, @Query() query: Record<string, unknown>): Promise<Prediction> {
    const startedAt = performance.now();
    const seconds = (): number => (performance.now() - startedAt) / 1000;
    try {
      const answer = await this.predictNow(request, query);
      this.stage.metrics.answered('answered', seconds());
      return answer;
    } catch (error) {
      this.stage.metrics.answered(error instanceof PipelineError ? error.code : 'failed', seconds());
      throw error;
    }
  }

  @Get('utterances/*id')
  async utterance(@Param('id') id: string | string[]): Promise<UtteranceAnswer> {
    const { index, backlog, store, keeper } = this.stage;
    const utteranceId = Array.isArray(id) ? id.join('/') : id;
    return this.reading.use(1, () => describeUtterance(utteranceId, { index, backlog, store }, keeper.model));
  }

  @Get('models')
  async models(): Promise<ModelsAnswer> {
    return describeModels(this.stage.store, this.stage.keeper.model);
  }

  @Get('champion')
  async champion(): Promise<ChampionAnswer> {
    return describeChampion(this.stage.store, this.stage.keeper.model);
  }

  @Get('status')
  status(): PredictorStatus {
    return this.stage.status();
  }

  @Get('openapi.json')
  openApi(): object {
    return openApiDocument(codeVersion);
  }

  private async predictNow({ body, headers }: IncomingMessage & { body?: unknown }, query: Record<string, unknown>): Promise<Prediction> {
    if (this.limit.take() > 0)
      throw new HttpException('More predictions come than PREDICT_PER_SECOND allows. Send this one again later.', 429);
    this.predictor.refuseIfBusy();
    const parsed = predictQuerySchema.safeParse(query);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new PipelineError('REQUEST_INVALID', `The query is wrong. ${issue?.path.join('.')}: ${issue?.message}`);
    }
    return this.predictor.predict(await readAsked(body, headers['content-type']), parsed.data);
  }
}
