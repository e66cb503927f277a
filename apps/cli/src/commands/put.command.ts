/** `undertone put`: a folder into a corpus of the bucket. */
import { Command, Option } from 'nest-commander';
import { PipelineError } from '#contracts/pipeline-error.js';
import { readerNames } from '#corpora/corpus-readers.js';
import { connect } from '../connect.js';
import { putFolder } from '../put-folder.js';
import { print, UndertoneCommand } from '../undertone-command.js';

interface PutCommandOptions {
  corpus: string;
  reader?: string;
}

@Command({
  name: 'put',
  arguments: '<dir>',
  description: 'Copy a folder into corpora/<name>/ of the bucket, annotations first; what is there already is skipped',
})
export class PutCommand extends UndertoneCommand {
  protected readonly example =
    './undertone put ~/recordings --corpus calls\n  ./undertone put ~/LibriSpeech --corpus librispeech --reader librispeech';

  async run([folder = '']: string[], { corpus, reader }: PutCommandOptions): Promise<void> {
    const connections = connect();
    const startedAt = performance.now();
    let shownAt = 0;
    const put = await putFolder(connections.store, folder, {
      corpus,
      reader,
      onProgress: ({ files, done, bytes, bytesDone }) => {
        const now = performance.now();
        if (!process.stderr.isTTY || now - shownAt < 100) return;
        shownAt = now;
        const rate = bytesDone / Math.max(1, now - startedAt) / 1000;
        const left = rate > 0 ? (bytes - bytesDone) / 1e6 / rate : 0;
        process.stderr.write(`\r${done} of ${files} files, ${rate.toFixed(1)} MB/s, ${Math.ceil(left)} s left\u001b[K`);
      },
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    print(
      `${put.done - put.skipped} files put, ${put.skipped} were there already, ${(put.bytes / 1e6).toFixed(1)} MB in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
    );
    connections.store.close();
  }

  @Option({ flags: '-c, --corpus <name>', description: 'the corpus that the folder becomes part of', required: true })
  parseCorpus(name: string): string {
    return name;
  }

  @Option({ flags: '-r, --reader <reader>', description: `how it is read: ${readerNames.join(', ')}; recognised if not given` })
  parseReader(name: string): string {
    if (!readerNames.includes(name))
      throw new PipelineError('CONFIG_INVALID', `There is no reader "${name}"; there are ${readerNames.join(', ')}`);
    return name;
  }
}
