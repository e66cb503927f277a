/**
 * The dashboard page, the JSON that it shows, and the same as a live event stream. Everything that the page loads is
 * served from here: it works without any network.
 */
import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  Controller,
  Get,
  Header,
  Inject,
  NotFoundException,
  Param,
  Req,
  Sse,
  StreamableFile,
  type BeforeApplicationShutdown,
  type MessageEvent,
} from '@nestjs/common';
import { concat, defer, finalize, map, of, ReplaySubject as Signal, takeUntil, type Observable } from 'rxjs';
import { packageRoot } from '#service/package-root.js';
import { EvaluatorStage, type DashboardState } from './evaluator-stage.js';

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
  private readonly stopping = new Signal<void>(1);

  constructor(@Inject(EvaluatorStage) private readonly stage: EvaluatorStage) {}

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
  overview(): DashboardState {
    return this.stage.state();
  }

  /** Server-sent events: the whole state now, then whenever it changed. */
  @Sse('api/events')
  events(@Req() request: IncomingMessage): Observable<MessageEvent> {
    return concat(
      defer(() => of(this.stage.state())),
      this.stage.stateChanges,
    ).pipe(
      map((data) => ({ data })),
      takeUntil(this.stopping),
      // Left open, the connection would take the page's next request, and HTTP would never be done.
      finalize(() => request.socket.destroySoon()),
    );
  }

  /** HTTP closes only when every response has ended: an open page must not keep the service from stopping. */
  beforeApplicationShutdown(): void {
    this.stopping.next();
  }
}
