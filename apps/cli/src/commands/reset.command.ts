/** `undertone reset`: deletes the data of the embedded stack, after asking. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { environment } from '../config.js';
import { confirmed } from '../crown-model.js';
import { readStackNote, undertoneHome } from '../stack-file.js';
import { print, UndertoneCommand } from '../undertone-command.js';

/** The folders that stacks keep in their home. `reset` deletes nothing else there. */
const stackParts = ['demo', 'up', 'stack.json', 'processes.json', 'restarts.json'];

@Command({ name: 'reset', description: 'Delete the data of the embedded stack: bucket, topics and models; downloaded programs stay' })
export class ResetCommand extends UndertoneCommand {
  protected readonly example = './undertone reset --yes';

  async run(_arguments: string[], { yes }: { yes?: boolean }): Promise<void> {
    const home = undertoneHome(environment);
    const running = readStackNote(environment);
    if (running) throw new PipelineError('CONFIG_INVALID', `A stack is running (process ${running.pid}). Stop it with Ctrl-C first.`);
    if (!existsSync(home)) return print('There is nothing to delete.');
    if (!yes && !(await confirmed(`Delete the embedded stack's data in ${home}, with its bucket, topics and models?`)))
      return print('Nothing was deleted.');
    for (const part of stackParts) rmSync(join(home, part), { recursive: true, force: true });
    print(`The embedded stack's data in ${home} is deleted.`);
  }

  @Option({ flags: '-y, --yes', description: 'do not ask for confirmation' })
  parseYes(): boolean {
    return true;
  }
}
