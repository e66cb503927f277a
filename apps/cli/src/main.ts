/** The `undertone` command. Exit codes: 0 done, 1 failed, 2 misused. */
import 'reflect-metadata';
import { CommandFactory } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { printableLines } from '#contracts/printable.js';
import { cliModuleOf } from './cli.module.js';
import { exitCodes } from './undertone-command.js';

/** Indents the further lines of a message. It may quote outside text, which must not look like lines of this program. */
const indented = (message: string): string => printableLines(message).replaceAll('\n', '\n  ');

function end(error: unknown): never {
  // Commander has already printed the misuse, or the help that was asked for.
  const { code, exitCode } = error as { code?: unknown; exitCode?: number };
  if (typeof code === 'string' && code.startsWith('commander.')) process.exit(exitCode === 0 ? 0 : exitCodes.misused);
  if (error instanceof PipelineError) {
    process.stderr.write(`✗ ${error.code}: ${indented(error.message)}\n`);
    process.exit(error.code === 'CONFIG_INVALID' ? exitCodes.misused : exitCodes.failed);
  }
  process.stderr.write(`${printableLines(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
  process.exit(exitCodes.failed);
}

// Usage lines name the command, not the file behind it.
process.argv[1] = 'undertone';

await CommandFactory.run(await cliModuleOf(process.argv.slice(2)), {
  logger: false,
  cliName: 'undertone',
  usePlugins: false,
  errorHandler: end,
  serviceErrorHandler: end,
  enablePositionalOptions: true,
});
process.exit(process.exitCode ?? 0);
