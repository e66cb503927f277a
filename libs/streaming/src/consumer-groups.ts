/** The names of the consumer groups, where more than their own stage needs to know them. */
export const ingestEventsGroup = (prefix: string): string => `${prefix}.ingest-events`;
export const ingestGroup = (prefix: string): string => `${prefix}.ingest`;
/** One group for each settings of the features: other settings read all utterances from the first. */
export const featuresGroupPrefix = (prefix: string): string => `${prefix}.features-`;
export const featuresGroup = (prefix: string, settingsHash: string): string => `${featuresGroupPrefix(prefix)}${settingsHash}`;
export const evaluatorGroup = (prefix: string): string => `${prefix}.evaluator`;
