/**
 * Serves the dashboard page, the state as JSON, and the state as a live event stream. It serves everything that the page loads,
 * so the page works without internet access.
 */
import { createReadStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  Controller,
  Get,
  Header,
  Inject,
  NotFoundException,
  Param,
  Res,
  StreamableFile,
  type BeforeApplicationShutdown,
} from '@nestjs/common';
import type { ServiceRestarts } from '#overview/troubles.js';
import { packageRoot } from '#service/package-root.js';
import { EvaluatorStage } from './evaluator-stage.js';
import { LiveEvents } from './live-events.js';

const uplotFolder = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');
const pageFolder = join(packageRoot, 'apps/evaluator/dashboard');

/** The files that the page may load, by name. No other file of the disk can be reached. */
const assets: Record<string, { file: string; type: string }> = {
  'dashboard.js': { file: join(pageFolder, 'dashboard.js'), type: 'text/javascript; charset=utf-8' },
  'dashboard.css': { file: join(pageFolder, 'dashboard.css'), type: 'text/css; charset=utf-8' },
  'uplot.js': { file: join(uplotFolder, 'uPlot.esm.js'), type: 'text/javascript; charset=utf-8' },
  'uplot.css': { file: join(uplotFolder, 'uPlot.min.css'), type: 'text/css; charset=utf-8' },
};

@Controller()
export class DashboardController implements BeforeApplicationShutdown {
  private readonly live: LiveEvents;

  constructor(@Inject(EvaluatorStage) private readonly stage: EvaluatorStage) {
    this.live = new LiveEvents({ state: () => stage.state(), changes: stage.stateChanges });
  }

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  page(): StreamableFile {
    return new StreamableFile(createReadStream(join(pageFolder, 'dashboard.html')));
  }

  @Get('assets/:name')
  asset(@Param('name') name: string): StreamableFile {
    const asset = Object.hasOwn(assets, name) ? assets[name] : undefined;
    if (!asset) throw new NotFoundException();
    return new StreamableFile(createReadStream(asset.file), { type: asset.type });
  }

  @Get('api/overview')
  @Header('content-type', 'application/json; charset=utf-8')
  @Header('cache-control', 'no-store')
  overview(): string {
    return this.live.json;
  }

  /** Restarts of the services, for `undertone status`. */
  @Get('api/restarts')
  restarts(): ServiceRestarts[] {
    return this.stage.restarts;
  }

  /** Server-sent events: the whole state at once, then after each change. Answers 503 when too many clients follow. */
  @Get('api/events')
  events(@Res() response: ServerResponse): void {
    this.live.open(response);
  }

  /** Number of clients. A refused page asks for it, because EventSource hides the 503 from the page. */
  @Get('api/events/clients')
  clients(): { clients: number; most: number } {
    return { clients: this.live.count, most: this.live.mostClients };
  }

  /** Ends all streams, because the HTTP server closes only when every response has ended. */
  beforeApplicationShutdown(): void {
    this.live.close();
  }
}
