/** Base of all commands: adds the example to the help, and turns misuse into the right exit code. */
import { CommandRunner } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { printable, printableJson, printableLines } from '#contracts/printable.js';

/** Exit code 0 means done. */
export const exitCodes = { failed: 1, misused: 2 } as const;

export abstract class UndertoneCommand extends CommandRunner {
  /** Shown below the help. */
  protected abstract readonly example: string;

  override setCommand(command: Parameters<CommandRunner['setCommand']>[0]): this {
    command.addHelpText('after', () => `\nExample:\n  ${this.example}`);
    // Commander would exit with 1 on misuse. Instead it throws, and main.ts chooses the exit code.
    command.exitOverride();
    return super.setCommand(command);
  }
}

/** Prints text with a layout of its own, possibly several lines. For names and messages from outside use `printLine` or `alignedTable`. */
export const print = (text: string): void => void process.stdout.write(`${printableLines(text)}\n`);
/** Prints exactly one line. Control characters in names and messages are escaped. */
export const printLine = (text: string): void => void process.stdout.write(`${printable(text)}\n`);
/** Prints one line on stderr, for people only. */
export const printAside = (text: string): void => void process.stderr.write(`${printable(text)}\n`);
export const printJson = (value: unknown): void => void process.stdout.write(`${printableJson(value)}\n`);

/** @throws PipelineError CONFIG_INVALID if the text is not one of the option's values */
export function oneOf<Value extends string>(values: readonly Value[], text: string, flag: string): Value {
  const value = values.find((each) => each === text);
  if (!value) throw new PipelineError('CONFIG_INVALID', `${flag} ${text}: expected one of ${values.join(', ')}`);
  return value;
}

/** Prints the progress of the setup: · begun, ✓ done, ! warning. */
export function printSetup(line: string, level: 'info' | 'warning' = 'info'): void {
  const mark = level === 'warning' ? '!' : line.endsWith('…') ? '·' : '✓';
  printLine(`${mark} ${line}`);
}
