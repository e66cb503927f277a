/** Writes docs/asyncapi.yaml from the topics and recorded facts of libs/contracts. Run: `npm run asyncapi`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { asyncApiDocument } from '#contracts/asyncapi.js';
import { parseRecordedFacts, recordedFactsPath } from '#contracts/recorded-facts.js';
import { topics } from '#contracts/topics.js';
import { codeVersion, packageRoot } from '#service/package-root.js';

const document = asyncApiDocument({
  topics,
  recordedOf: (topic) => parseRecordedFacts(readFileSync(join(packageRoot, recordedFactsPath(topic)), 'utf8')),
  version: codeVersion,
});
const header = '# Generated from libs/contracts by `npm run asyncapi`. Do not edit.\n';
writeFileSync(
  join(packageRoot, 'docs', 'asyncapi.yaml'),
  header + stringify(document, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' }),
);
