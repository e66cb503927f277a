import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { explainRefusal } from './kafka-client.js';

const { KafkaJSSASLAuthenticationError, KafkaJSNonRetriableError } = createRequire(import.meta.url)('kafkajs/src/errors') as {
  KafkaJSSASLAuthenticationError: new (message: string) => Error;
  KafkaJSNonRetriableError: new (message: string, options: { cause: unknown }) => Error;
};
const connection = { brokers: ['a:1', 'b:2'], sasl: { mechanism: 'plain' as const, username: 'anna', password: 'secret' } };

describe('explainRefusal', () => {
  const refused = new KafkaJSSASLAuthenticationError('SASL PLAIN authentication failed');

  it.each([refused, new KafkaJSNonRetriableError('gave up', { cause: refused })])(
    'translates refused credentials into CONFIG_INVALID, without the password: %s',
    (error) => {
      const explained = explainRefusal(error, connection) as Error;
      expect(explained).toMatchObject({ code: 'CONFIG_INVALID', cause: error });
      expect(explained.message).toContain('a:1, b:2 refuses user anna by plain: SASL PLAIN authentication failed');
      expect(explained.message).not.toContain('secret');
    },
  );

  it('translates them too if the connection is unknown', () => {
    expect(explainRefusal(refused)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('The Kafka broker refuses') as string,
    });
  });

  it('keeps other errors unchanged', () => {
    const error = new TypeError('x');
    expect(explainRefusal(error, connection)).toBe(error);
  });
});
