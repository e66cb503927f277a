import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cliModuleOf } from './cli.module.js';

const files = readdirSync(join(import.meta.dirname, 'commands'))
  .filter((name) => name.endsWith('.command.ts'))
  .map((name) => name.slice(0, -'.command.ts'.length));

const classesOf = async (...words: string[]): Promise<string[]> =>
  ((await cliModuleOf(words)).providers as { name: string }[]).map(({ name }) => name);

const classOf = (name: string): string => `${name.replaceAll(/(^|-)\w/g, (start) => start.slice(-1).toUpperCase())}Command`;

it.each(files)('%s is a command, loaded alone where it is named', async (name) => {
  expect(await classesOf(name, '--help')).toEqual([classOf(name)]);
});

it.each(['--help', 'hlep', 'constructor'])('all are there for %s', async (word) => {
  expect((await classesOf(word)).sort()).toEqual(files.map(classOf).sort());
});
