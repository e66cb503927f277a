import { NestFactory } from '@nestjs/core';
import { expect, test } from 'vitest';
import { Liveness } from './liveness.js';
import { createLogger } from './logger.js';
import { ObservabilityModule } from './observability.module.js';

test('a service is alive until one of its checks says why not, and again when it no longer does', async () => {
  const app = await NestFactory.create(ObservabilityModule.forStage('test', createLogger('test', 'silent')), { logger: false });
  await app.listen(0, '127.0.0.1');
  const ask = async (): Promise<unknown[]> => {
    const answer = await fetch(`${await app.getUrl()}/health/live`);
    return [answer.status, await answer.json()];
  };
  try {
    let why: string | null = null;
    const liveness = app.get(Liveness);
    liveness.watch(() => null);
    liveness.watch(() => why);
    expect(await ask()).toEqual([200, { status: 'ok' }]);
    why = 'has taken nothing for 60 s';
    expect(await ask()).toEqual([503, { status: 'stalled', reason: 'has taken nothing for 60 s' }]);
    why = null;
    expect(await ask()).toEqual([200, { status: 'ok' }]);
  } finally {
    await app.close();
  }
});
