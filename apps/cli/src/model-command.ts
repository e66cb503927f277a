/** The options with which a command chooses a model. */
import { Option } from 'nest-commander';
import { UndertoneCommand } from './undertone-command.js';

export abstract class ModelCommand extends UndertoneCommand {
  @Option({ flags: '--from <dir>', description: 'a folder written by `undertone train` (default: the running stack)' })
  parseFrom(folder: string): string {
    return folder;
  }

  @Option({ flags: '--model <run/step>', description: 'use this model; `undertone models` lists the names (default: the champion)' })
  parseModel(name: string): string {
    return name;
  }

  @Option({ flags: '--newest', description: 'use the newest model, even if it is not the champion' })
  parseNewest(): boolean {
    return true;
  }
}
