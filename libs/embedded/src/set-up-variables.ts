/** Variables that set-up reads (provision*.ts, pip-wheel.ts, cache-directory.ts), for docs/configuration.md. */
import { field } from '#service/read-config.js';

export const setUpVariables = {
  UNDERTONE_CACHE: field
    .optionalText()
    .meta({ shownDefault: '`$XDG_CACHE_HOME/undertone`, else `~/.cache/undertone`' })
    .describe('Folder for everything that set-up fetched and built.'),
  XDG_CACHE_HOME: field
    .optionalText()
    .meta({ shownDefault: '`~/.cache`' })
    .describe('Folder of your caches. It counts if `UNDERTONE_CACHE` is not set.'),
  JAVA_HOME: field
    .optionalText()
    .meta({ shownDefault: '`java` on `PATH`' })
    .describe('Folder of the Java, 17 or later, that runs the embedded Kafka.'),
  MVN: field.text('mvn').describe("Maven command that fetches Kafka's jars."),
  PYTHON: field.text('python3').describe('Python 3 command, with pip, that fetches wheels.'),
  CXX: field
    .optionalText()
    .meta({ shownDefault: '`g++`, `clang++` or `c++` on `PATH`' })
    .describe('C++ compiler for the TensorFlow binding. Set-up fetches one (`ziglang`) if the machine has none.'),
};

/** Variables that programs beneath Undertone read by themselves. */
export const platformVariables = {
  NODE_EXTRA_CA_CERTS: field
    .optionalText()
    .describe('File with further certificate authorities for TLS to the broker and the store. Node reads it.'),
  TMPDIR: field
    .optionalText()
    .meta({ shownDefault: '`/tmp`' })
    .describe('Temporary folder. Ingest spools archives to it, and features writes files there that ffmpeg should decode.'),
  NODE_COMPILE_CACHE: field
    .optionalText()
    .meta({ shownDefault: '`.undertone/compile-cache`' })
    .describe('Folder for compiled JavaScript, which makes starts faster.'),
  TF_CPP_MIN_LOG_LEVEL: field.text('2').describe("Least severe messages that TensorFlow's own code prints: 0 all, 1 warnings, 2 errors."),
};
