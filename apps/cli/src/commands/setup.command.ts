/** `undertone setup`: fetches and builds what is missing, and nothing else. */
import { Command } from 'nest-commander';
import { provisionAll } from '#embedded/provision.js';
import { environment } from '../config.js';
import { print, printSetup, UndertoneCommand } from '../undertone-command.js';

@Command({
  name: 'setup',
  description: 'Fetch the embedded broker, object store, native TensorFlow and ffmpeg, as far as they are missing',
})
export class SetupCommand extends UndertoneCommand {
  protected readonly example = './undertone setup';

  async run(): Promise<void> {
    const { tensorflow, ffmpeg } = await provisionAll({
      env: environment,
      needKafka: !environment['KAFKA_BROKERS'],
      needS3: !environment['S3_ENDPOINT'],
      log: printSetup,
    });
    print(`✓ set up; TensorFlow: ${tensorflow ? 'native' : 'wasm or cpu'}, ffmpeg: ${ffmpeg?.path ?? 'none'}`);
  }
}
