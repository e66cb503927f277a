/**
 * Recorded facts: records in the form in which topics hold them. Each topic version has a file,
 * `libs/contracts/recorded/<noun>.v<n>.jsonl`, with one record a line: `{"key": …, "value": …}`. A tombstone has the value
 * null. The full form comes first; docs/asyncapi.yaml shows it as the example. Then come forms without each optional field.
 * The first ones were composed from real layouts to cover every form; they were not captured from a broker.
 *
 * Only ever add to recorded facts. A compacted topic keeps its records for ever, so every published form must stay
 * readable. When a schema gains a field, add a record that has it, and leave the records without it alone. A change that
 * refuses an old record needs a default, or a new version of the topic with a file of its own.
 */
import { topicName, type TopicDeclaration, type TopicIdentity } from './topic.js';

export interface RecordedFact {
  key: string | null;
  /** Null for a tombstone. */
  value: unknown;
}

export const recordedFactsPath = (topic: TopicIdentity): string => `libs/contracts/recorded/${topic.noun}.v${topic.version}.jsonl`;

export const parseRecordedFacts = (jsonl: string): RecordedFact[] =>
  jsonl
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RecordedFact);

/** @returns one line for each recorded fact that today's declaration refuses, changes, or gives another key */
export function incompatibilities(topic: TopicDeclaration, recorded: readonly RecordedFact[]): string[] {
  return recorded.flatMap((record, index) =>
    problemsOf(topic, record).map(
      (problem) =>
        `${recordedFactsPath(topic)}, line ${index + 1}: ${problem}. Records like it lie in ${topicName(topic, 'undertone')}: ` +
        `keep them readable (an optional field, a default), or declare version ${topic.version + 1} of the topic.`,
    ),
  );
}

function problemsOf(topic: TopicDeclaration, { key, value }: RecordedFact): string[] {
  const parsedKey = topic.keySchema.safeParse(key);
  if (!parsedKey.success)
    return parsedKey.error.issues.map((issue) => `the schema of the key refuses ${JSON.stringify(key)}: ${issue.message}`);
  if (value === null) return topic.storage.cleanup === 'compact' ? [] : ['only a compacted topic may hold a tombstone'];
  const parsed = topic.schema.safeParse(value);
  if (!parsed.success) return parsed.error.issues.map((issue) => `the schema refuses ${issue.path.join('.') || 'it'}: ${issue.message}`);
  const newKey = topic.keyOf(parsed.data as never);
  const moved = newKey === key ? [] : [`its key was ${JSON.stringify(key)} and now is ${JSON.stringify(newKey)}`];
  return [...lostFields(value, parsed.data).map((path) => `${path || 'it'} does not come back as it was`), ...moved];
}

/** @returns paths of `before` that `after` lacks or changes. Additional fields of `after` are no loss. */
function lostFields(before: unknown, after: unknown, path = ''): string[] {
  if (typeof before !== 'object' || before === null) return Object.is(before, after) ? [] : [path];
  if (typeof after !== 'object' || after === null || Array.isArray(before) !== Array.isArray(after)) return [path];
  if (Array.isArray(before) && before.length !== (after as unknown[]).length) return [path];
  return Object.entries(before).flatMap(([name, part]) =>
    lostFields(part, (after as Record<string, unknown>)[name], path === '' ? name : `${path}.${name}`),
  );
}
