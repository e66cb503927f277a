/** Makes docs/commands.md from the decorators of the commands, so that the page agrees with `--help`. */
import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { CommandMeta, OptionMeta } from 'nest-commander/src/constants.js';
import { cliModuleOf } from './cli.module.js';

interface DescribedOption {
  flags: string;
  description?: string;
  required?: boolean;
}

interface DescribedCommand {
  name: string;
  arguments?: string;
  description: string;
  options: DescribedOption[];
  example: string;
}

/** @returns the page as Markdown, with the commands in the order of the help */
export async function commandReference(): Promise<string> {
  const { providers = [] } = await cliModuleOf([]);
  const commands = providers.map((provider) => describe(provider as Type<{ example: string }>));
  return [
    '<!-- `npm run reference` makes this page from apps/cli/src/commands. Do not edit it. -->',
    '# Commands',
    'This page is for everyone who types `./undertone`. It lists each command with its options and an example.',
    'Exit codes: 0 means done. 1 means failed, or stopped before there were results. 2 means misused: wrong words, wrong settings, or no stack to speak to.',
    table(
      ['command', 'does'],
      commands.map(({ name, description }) => [`[\`${name}\`](#${name})`, description]),
    ),
    ...commands.flatMap(sectionOf),
  ].join('\n\n');
}

function describe(command: Type<{ example: string }>): DescribedCommand {
  const meta = Reflect.getMetadata(CommandMeta, command) as Omit<DescribedCommand, 'options' | 'example'>;
  const methods = Object.values(Object.getOwnPropertyDescriptors(command.prototype)).map(({ value }) => value as object);
  const options = methods.flatMap((method) => (Reflect.getMetadata(OptionMeta, method) as DescribedOption | undefined) ?? []);
  return { ...meta, options, example: new command().example };
}

function sectionOf({ name, arguments: words, description, options, example }: DescribedCommand): string[] {
  const usage = ['./undertone', name, words, options.length > 0 ? '[options]' : ''].filter(Boolean).join(' ');
  const rows = options.map(({ flags, description: text = '', required }) => [`\`${flags}\``, required ? `${text} (required)` : text]);
  return [
    `## ${name}`,
    `${description}.`,
    `\`\`\`\n${usage}\n\`\`\``,
    ...(rows.length > 0 ? [table(['option', 'meaning'], rows)] : []),
    `Example:\n\n\`\`\`\n${example.replaceAll(/^ +/gm, '')}\n\`\`\``,
  ];
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll(/<(?![^`]*`)/g, '&lt;')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
