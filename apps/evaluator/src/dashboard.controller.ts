/**
 * The dashboard page, the JSON that it shows, and the same as a live event stream. Everything that the page loads is
 * served from here: it works without any network.
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

/** What the page may load, by name: nothing else of the disk is reachable. */
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

  /** For `undertone status`. */
  @Get('api/restarts')
  restarts(): ServiceRestarts[] {
    return this.stage.restarts;
  }

  /** Server-sent events: the whole state now, then whenever it changed. 503 for a client too many. */
  @Get('api/events')
  events(@Res() response: ServerResponse): void {
    this.live.open(response);
  }

  /** Tells a page that was refused, which cannot see the answer, whether it is one too many. */
  @Get('api/events/clients')
  clients(): { clients: number; most: number } {
    return { clients: this.live.count, most: this.live.mostClients };
  }

  /** HTTP closes only when every response has ended: an open page must not keep the service from stopping. */
  beforeApplicationShutdown(): void {
    this.live.close();
  }
}
