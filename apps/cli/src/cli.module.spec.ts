import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Type } from '@nestjs/common';
import { CommandMeta } from 'nest-commander/src/constants.js';
import { expect, it } from 'vitest';
import { cliModuleOf } from './cli.module.js';

const files = readdirSync(join(import.meta.dirname, 'commands'))
  .filter((name) => name.endsWith('.command.ts'))
  .map((name) => name.slice(0, -'.command.ts'.length));

async function namesOf(...words: string[]): Promise<string[]> {
  const { providers = [] } = await cliModuleOf(words);
  return providers.map((command) => (Reflect.getMetadata(CommandMeta, command as Type) as { name: string }).name);
}

it.each(files)('loads the command %s alone when it is named', async (name) => {
  expect(await namesOf(name, '--help')).toEqual([name]);
});

it.each([[], ['--help'], ['help', 'put'], ['hlep'], ['constructor']])('loads all commands for %j', async (...words) => {
  expect((await namesOf(...words)).sort()).toEqual(files.toSorted());
});
