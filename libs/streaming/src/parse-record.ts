/** Parses a record's value by its topic's schema, within limits of size and depth. */
import { parseOutsideJson } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { keyProblem, recordLimits, type Topic, type TopicDeclaration } from '#contracts/topic.js';

/** @throws PipelineError RECORD_INVALID, also if the record's key does not follow from its contents */
export function parseRecord<Fact>(topic: Topic<Fact>, value: Buffer, key: string | null): Fact {
  const parsed = topic.schema.safeParse(jsonOf(topic, value));
  if (parsed.success) {
    const why = keyProblem(topic, key, parsed.data);
    if (why) throw new PipelineError('RECORD_INVALID', `The record does not match the schema of ${topic.noun}: ${why}`);
    return parsed.data;
  }
  const problem = parsed.error.issues[0];
  throw new PipelineError(
    'RECORD_INVALID',
    `The record does not match the schema of ${topic.noun}: ${problem?.path.join('.')} ${problem?.message}`,
  );
}

function jsonOf(topic: Pick<TopicDeclaration, 'acceptsBytes'>, value: Buffer): unknown {
  try {
    return parseOutsideJson(value, recordLimits);
  } catch (error) {
    if (topic.acceptsBytes) return value;
    throw error;
  }
}
