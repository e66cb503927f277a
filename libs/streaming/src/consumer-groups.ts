/** The names of the consumer groups that other stages need to know too. */
export const ingestEventsGroup = (prefix: string): string => `${prefix}.ingest-events`;
export const ingestGroup = (prefix: string): string => `${prefix}.ingest`;
/** One group for each hash of feature settings. A group of new settings reads all utterances from the first record. */
export const featuresGroupPrefix = (prefix: string): string => `${prefix}.features-`;
export const featuresGroup = (prefix: string, settingsHash: string): string => `${featuresGroupPrefix(prefix)}${settingsHash}`;
export const evaluatorGroup = (prefix: string): string => `${prefix}.evaluator`;
/** Shares the utterances among the predictors. It reads no records. */
export const predictorGroup = (prefix: string): string => `${prefix}.predictor`;
