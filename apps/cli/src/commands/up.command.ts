/** `undertone up`: starts the stack without samples, and keeps its data from one start to the next. */
import { join } from 'node:path';
import { Command } from 'nest-commander';
import { environment } from '../config.js';
import { undertoneHome } from '../stack-file.js';
import { stackPreset } from '../stack-preset.js';
import { Stack } from '../run-stack.js';
import { print, printSetup, UndertoneCommand } from '../undertone-command.js';
import { untilStopped } from '../until-stopped.js';

@Command({ name: 'up', description: 'Start the stack on this machine with the data it had before, and serve until Ctrl-C' })
export class UpCommand extends UndertoneCommand {
  protected readonly example = './undertone up';

  async run(): Promise<void> {
    const preset = stackPreset(join(undertoneHome(environment), 'up'), environment['PRESET']);
    const stack = await Stack.start({ name: 'up', fresh: false, environment, defaults: { PRESET: preset }, say: printSetup });
    print(
      `\n  Settings: preset ${preset} (PRESET chooses another)\n  Dashboard: ${stack.dashboardUrl}\n  Logs: ${stack.logsDir}\n  Add recordings: ./undertone put DIR --corpus NAME\n  Ctrl-C stops everything.\n`,
    );
    await untilStopped();
    await stack.stop();
  }
}
