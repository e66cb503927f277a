import pino from 'pino';
import { expect, test } from 'vitest';
import { terminalSafe } from './logger.js';

test('escapes control characters in messages, fields and errors', () => {
  const lines: string[] = [];
  const logger = pino({ ...terminalSafe, base: {} }, { write: (line) => void lines.push(line) });
  const key = 'corpora/\u001b[2Ja\r\u202eb.wav';
  const shown = String.raw`corpora/\u001b[2Ja\r\u202eb.wav`;
  logger.warn({ key, nested: { keys: [key, 7] }, [key]: null }, `refused ${key}`);
  logger.error({ err: new Error(`no ${key}`) }, 'failed');
  const [warned, failed] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(warned).toMatchObject({ msg: `refused ${shown}`, key: shown, nested: { keys: [shown, 7] }, [shown]: null });
  expect(failed).toMatchObject({
    msg: 'failed',
    err: { message: `no ${shown}`, stack: expect.stringContaining(`Error: no ${shown}\n    at `) as string },
  });
});
