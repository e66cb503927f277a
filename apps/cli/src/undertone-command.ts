/** What all commands share: an example in their help, and errors that end in the right exit code. */
import { CommandRunner } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { printable, printableJson, printableLines } from '#contracts/printable.js';

/** 0: done. */
export const exitCodes = { failed: 1, misused: 2 } as const;

export abstract class UndertoneCommand extends CommandRunner {
  /** Shown below the help. */
  protected abstract readonly example: string;

  override setCommand(command: Parameters<CommandRunner['setCommand']>[0]): this {
    command.addHelpText('after', () => `\nExample:\n  ${this.example}`);
    // Misuse is told by an error that main.ts turns into the exit code; commander itself would end with 1.
    command.exitOverride();
    return super.setCommand(command);
  }
}

/** Text of our own layout, of several lines perhaps. Names and messages from outside go into it by `printLine` or `alignedTable`. */
export const print = (text: string): void => void process.stdout.write(`${printableLines(text)}\n`);
/** One line, whatever the names and messages in it hold. */
export const printLine = (text: string): void => void process.stdout.write(`${printable(text)}\n`);
/** One line beside the output proper, for people only. */
export const printAside = (text: string): void => void process.stderr.write(`${printable(text)}\n`);
export const printJson = (value: unknown): void => void process.stdout.write(`${printableJson(value)}\n`);

/** @throws PipelineError CONFIG_INVALID for a word that is none of the option's values */
export function oneOf<Value extends string>(values: readonly Value[], text: string, flag: string): Value {
  const value = values.find((each) => each === text);
  if (!value) throw new PipelineError('CONFIG_INVALID', `${flag} ${text}: it must be one of ${values.join(', ')}`);
  return value;
}

/** Progress of the set-up: what has begun, what is done, what is missed but not needed. */
export function printSetup(line: string, level: 'info' | 'warning' = 'info'): void {
  const mark = level === 'warning' ? '!' : line.endsWith('…') ? '·' : '✓';
  printLine(`${mark} ${line}`);
}
