/**
 * Serves `/metrics`, `/health/live` and `/health/ready`, the same for every service. A health answer is 200 or 503, with JSON that
 * gives for each check its name, up or down, and the reason.
 */
import { Controller, Get, Header, Inject, Module, type DynamicModule } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService, TerminusModule, type HealthCheckResult } from '@nestjs/terminus';
import { Liveness } from './liveness.js';
import type { Logger } from './logger.js';
import { Metrics } from './metrics.js';
import { Readiness } from './readiness.js';

export const LOGGER = Symbol('logger');

/** Start time of this process. A watcher detects a restart by it. */
const startedAt = new Date(performance.timeOrigin).toISOString();

@Controller()
class ObservabilityController {
  constructor(
    @Inject(Metrics) private readonly metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) private readonly liveness: Liveness,
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
  ) {}

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  async scrape(): Promise<string> {
    return this.metrics.registry.metrics();
  }

  @Get('health/live')
  live(): Promise<HealthCheckResult> {
    return this.answer(this.liveness.findings());
  }

  @Get('health/ready')
  ready(): Promise<HealthCheckResult> {
    return this.answer([['started', this.readiness.whyNot()]], { startedAt });
  }

  /** @throws ServiceUnavailableException if a check gives a reason */
  private answer(checks: [name: string, reason: string | null][], details: Record<string, string> = {}): Promise<HealthCheckResult> {
    return this.health.check(
      checks.map(([name, reason]) => () => {
        const indicator = this.indicators.check(name);
        return reason === null ? indicator.up(details) : indicator.down({ reason, ...details });
      }),
    );
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
    // Failed checks are not logged: the answer gives the reason, and a starting service is asked every other second.
    const imports = [TerminusModule.forRoot({ logger: false })];
    return { module: ObservabilityModule, imports, controllers: [ObservabilityController], providers, exports: providers };
  }
}
