import { NestFactory } from '@nestjs/core';
import { expect, test } from 'vitest';
import { Liveness } from './liveness.js';
import { createLogger } from './logger.js';
import { ObservabilityModule } from './observability.module.js';
import { Readiness } from './readiness.js';

const anyTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string;

test('a service is alive unless a check gives a reason, and the answer names that check', async () => {
  const app = await NestFactory.create(ObservabilityModule.forStage('test', createLogger('test', 'silent')), { logger: false });
  await app.listen(0, '127.0.0.1');
  const ask = async (what: 'live' | 'ready'): Promise<unknown[]> => {
    const answer = await fetch(`${await app.getUrl()}/health/${what}`);
    return [answer.status, await answer.json()];
  };
  try {
    let why: string | null = null;
    const liveness = app.get(Liveness);
    liveness.watch('compute', () => null);
    liveness.watch('consumers', () => why);
    expect(await ask('live')).toMatchObject([200, { status: 'ok', details: { consumers: { status: 'up' } } }]);
    why = 'has taken nothing for 60 s';
    expect(await ask('live')).toMatchObject([
      503,
      { status: 'error', error: { consumers: { status: 'down', reason: why } }, details: { compute: { status: 'up' } } },
    ]);
    why = null;
    expect(await ask('live')).toMatchObject([200, { status: 'ok', error: {} }]);
    expect(await ask('ready')).toMatchObject([
      503,
      { status: 'error', error: { started: { status: 'down', reason: 'starting', startedAt: anyTime } } },
    ]);
    const readiness = app.get(Readiness);
    await new Promise<void>((resolve) => {
      readiness.startInBackground(() => Promise.resolve());
      setImmediate(resolve);
    });
    expect(await ask('ready')).toMatchObject([200, { status: 'ok', details: { started: { startedAt: anyTime } } }]);
  } finally {
    await app.close();
  }
});
