/** Variables that tests and benchmarks read, for docs/configuration.md. Scripts cannot import from test/, so the list stands here. */
import { field } from '#service/read-config.js';

export const testVariables = {
  CHROMIUM_BIN: field.optionalText().meta({ shownDefault: '`chromium` on `PATH`' }).describe('Browser for the tests of the dashboard.'),
  UNDERTONE_SKIP_BROWSER: field.optionalText().describe('1 skips the browser tests.'),
  UNDERTONE_SCREENSHOTS: field.optionalText().describe('Folder in which the browser tests leave pictures of the dashboard.'),
  REQUIRE_PROMETHEUS: field.optionalText().describe('1 makes the tests fail if the machine has no `prometheus`, instead of skipping.'),
  REQUIRE_CONTAINERS: field
    .optionalText()
    .describe('1 makes `npm run test:containers` fail if the machine has no container engine, instead of skipping.'),
  KAFKA_IMAGE: field.text('apache/kafka:4.1.0').describe('Image of Kafka for `npm run test:containers`.'),
  S3_IMAGE: field.text('chrislusf/seaweedfs:4.48').describe('Image of the S3 server for `npm run test:containers`.'),
  UNDERTONE_IMAGE: field
    .optionalText()
    .describe('Image of the services for `npm run test:containers`. The suite builds one if it is not set.'),
  UNDERTONE_PRINT_GOLDEN: field
    .optionalText()
    .describe('1 makes the golden tests of spectrograms print how far they are from the references.'),
  FUZZ_CONTAINERS: field.wholeIn('files', 120).describe('Damaged files that the fuzz test of audio containers makes.'),
  FUZZ_SEED: field.wholeIn('seed', 1).describe('Chooses the cases of the long fuzz of the pipeline (`npm run test:slow`).'),
  FUZZ_SECONDS: field.wholeIn('seconds', 30).describe('Time for which that fuzz deals new cases.'),
  KEEP_LOGS: field.optionalText().describe('Any value makes `npm run chaos` keep its logs after a good run too.'),
  BENCH_PYTHON: field.text('python3').describe('Python with the peers of `npm run bench`, such as librosa and PyTorch.'),
  BENCH_TF_PYTHON: field
    .optionalText()
    .meta({ shownDefault: '`BENCH_PYTHON`' })
    .describe('Python with TensorFlow for `npm run bench -- train`.'),
};
