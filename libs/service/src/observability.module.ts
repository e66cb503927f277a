/** `/metrics`, `/health/live` and `/health/ready`, the same for every service. */
import { Controller, Get, Header, Inject, Module, ServiceUnavailableException, type DynamicModule } from '@nestjs/common';
import { Liveness } from './liveness.js';
import type { Logger } from './logger.js';
import { Metrics } from './metrics.js';
import { Readiness } from './readiness.js';

export const LOGGER = Symbol('logger');

@Controller()
class ObservabilityController {
  constructor(
    @Inject(Metrics) private readonly metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) private readonly liveness: Liveness,
  ) {}

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  async scrape(): Promise<string> {
    return this.metrics.registry.metrics();
  }

  @Get('health/live')
  live(): { status: string } {
    const reason = this.liveness.whyNot();
    if (reason) throw new ServiceUnavailableException({ status: 'stalled', reason });
    return { status: 'ok' };
  }

  @Get('health/ready')
  ready(): { status: string } {
    const reason = this.readiness.whyNot();
    if (reason) throw new ServiceUnavailableException({ status: 'not ready', reason });
    return { status: 'ok' };
  }
}

@Module({})
export class ObservabilityModule {
  static forStage(stage: string, logger: Logger): DynamicModule {
    const providers = [
      { provide: Metrics, useValue: new Metrics(stage) },
      { provide: Readiness, useValue: new Readiness() },
      { provide: Liveness, useValue: new Liveness() },
      { provide: LOGGER, useValue: logger },
    ];
    return { module: ObservabilityModule, controllers: [ObservabilityController], providers, exports: providers };
  }
}
