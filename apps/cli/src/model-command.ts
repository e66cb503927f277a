/** A command that uses a model: how it is told which. */
import { Option } from 'nest-commander';
import { UndertoneCommand } from './undertone-command.js';

export abstract class ModelCommand extends UndertoneCommand {
  @Option({ flags: '--from <dir>', description: 'a folder that `undertone train` has made; the running stack if not given' })
  parseFrom(folder: string): string {
    return folder;
  }

  @Option({ flags: '--model <run/step>', description: 'this model, as `undertone models` names it; else the champion' })
  parseModel(name: string): string {
    return name;
  }

  @Option({ flags: '--newest', description: 'the newest model, champion or not' })
  parseNewest(): boolean {
    return true;
  }
}
