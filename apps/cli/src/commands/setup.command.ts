/** `undertone setup`: downloads and builds the missing prerequisites, and starts nothing. */
import { Command, Option } from 'nest-commander';
import { provisionAll } from '#embedded/provision.js';
import { environment } from '../config.js';
import { print, printSetup, UndertoneCommand } from '../undertone-command.js';

@Command({
  name: 'setup',
  description: 'Download whichever are missing of the embedded broker, object store, native TensorFlow and ffmpeg',
})
export class SetupCommand extends UndertoneCommand {
  protected readonly example = './undertone setup\n  ./undertone setup --gpu';

  async run(_arguments: string[], { gpu }: { gpu?: boolean }): Promise<void> {
    const { tensorflow, ffmpeg } = await provisionAll({
      env: environment,
      needKafka: !environment['KAFKA_BROKERS'],
      needS3: !environment['S3_ENDPOINT'],
      needGpu: gpu ?? false,
      log: printSetup,
    });
    print(`✓ set up; TensorFlow: ${tensorflow ? 'native' : 'wasm or cpu'}, ffmpeg: ${ffmpeg?.path ?? 'none'}`);
  }

  @Option({ flags: '--gpu', description: 'also download TensorFlow for an NVIDIA GPU: 2.4 GB, on Linux x64' })
  parseGpu(): boolean {
    return true;
  }
}
