/** Puts live streams on the port of the service. */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Server } from 'node:http';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { AudioPredictor } from '../audio-predictor.js';
import type { PredictorConfig } from '../config.js';
import { PREDICTOR_CONFIG } from '../predictor-stage.js';
import { LiveServer } from './live-server.js';

@Injectable()
export class LiveStreams implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly server: LiveServer;

  constructor(
    @Inject(HttpAdapterHost) private readonly http: HttpAdapterHost,
    @Inject(PREDICTOR_CONFIG) config: PredictorConfig,
    @Inject(AudioPredictor) predictor: AudioPredictor,
    @Inject(LOGGER) logger: Logger,
    @Inject(Metrics) metrics: Metrics,
  ) {
    const durations = metrics.histogram(
      'live_window_duration_seconds',
      'From the last sample of a window to its answer, without the way to the client',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    );
    this.server = new LiveServer({
      access: config.service.access,
      limits: config.live,
      windowSec: () => predictor.windowSec(),
      score: async (bytes) => {
        const stopClock = durations.startTimer();
        const answer = await predictor.predict({ bytes });
        stopClock();
        return answer;
      },
      onError: (error) => logger.error({ err: error }, 'a live stream failed'),
    });
    metrics.gaugeOf('live_streams', 'Live streams, with those that were cut and may resume', () => this.server.count);
  }

  onApplicationBootstrap(): void {
    this.server.listen(this.http.httpAdapter.getHttpServer() as Server);
  }

  onApplicationShutdown(): void {
    this.server.close();
  }
}
