/** `undertone put`: copies a folder into a corpus of the bucket. */
import { Command, Option } from 'nest-commander';
import { readerNames } from '#corpora/corpus-readers.js';
import { connect } from '../connect.js';
import { asBytes, asDuration, counted } from '../human-units.js';
import type { PutPlan } from '../plan-put.js';
import { PutDisplay } from '../put-display.js';
import { putFolder, type PutProgress } from '../put-folder.js';
import { exitCodes, oneOf, print, printLine, UndertoneCommand } from '../undertone-command.js';

interface PutCommandOptions {
  corpus: string;
  reader?: string;
  dryRun?: boolean;
}

const mostFailures = 20;

@Command({
  name: 'put',
  arguments: '<dir>',
  description: 'Copy a folder into corpora/<name>/ of the bucket, annotations first; files that the bucket has already are skipped',
})
export class PutCommand extends UndertoneCommand {
  protected readonly example =
    './undertone put ~/recordings --corpus calls --dry-run\n  ./undertone put ~/LibriSpeech --corpus librispeech --reader librispeech';

  async run([folder = '']: string[], { corpus, reader, dryRun = false }: PutCommandOptions): Promise<void> {
    const { store } = connect();
    const display = new PutDisplay(process.stderr);
    const stopping = new AbortController();
    process.once('SIGINT', () => {
      stopping.abort();
      process.once('SIGINT', () => process.exit(130));
    });
    const startedAt = performance.now();
    const put = await putFolder(store, folder, {
      corpus,
      reader,
      dryRun,
      signal: stopping.signal,
      onPlan: printPlan,
      onProgress: (progress) => display.show(progress),
    }).catch((error: unknown) => {
      display.clear();
      if (stopping.signal.aborted) return null;
      throw error;
    });
    store.close();
    display.clear();
    if (put) printOutcome(put, { dryRun, seconds: (performance.now() - startedAt) / 1000 });
    if (stopping.signal.aborted) print('Stopped. Run the same command again to continue.');
    if (stopping.signal.aborted || put?.failed.length) process.exitCode = exitCodes.failed;
  }

  @Option({ flags: '-c, --corpus <name>', description: 'the corpus to copy the folder into', required: true })
  parseCorpus(name: string): string {
    return name;
  }

  @Option({
    flags: '-r, --reader <reader>',
    description: `the reader for the corpus: ${readerNames.join(', ')} (default: recognised from the files)`,
  })
  parseReader(name: string): string {
    return oneOf(readerNames, name, '--reader');
  }

  @Option({ flags: '-n, --dry-run', description: 'compare with the bucket and print what would be sent; send nothing' })
  parseDryRun(): boolean {
    return true;
  }
}

function printPlan({ annotations, recordings, archives, warnings }: PutPlan): void {
  const parts = [counted(recordings.length, 'recording'), counted(annotations.length, 'annotation file')];
  if (archives.length > 0) parts.push(counted(archives.length, 'archive'));
  print(parts.join(', '));
  for (const warning of warnings) printLine(`! ${warning}`);
}

function printOutcome(put: PutProgress, { dryRun, seconds }: { dryRun: boolean; seconds: number }): void {
  for (const { path, why } of put.failed.slice(0, mostFailures)) printLine(`✗ ${path}: ${why}`);
  if (put.failed.length > mostFailures) print(`✗ and ${put.failed.length - mostFailures} more`);
  const failed = put.failed.length > 0 ? `, ${put.failed.length} could not be put` : '';
  const there = `${put.skipped} ${put.skipped === 1 ? 'was' : 'were'} there already${failed}`;
  const files = counted(put.done - put.skipped - put.failed.length, 'file');
  if (dryRun) print(`${files} would be put (${asBytes(put.bytes - put.bytesSkipped)}), ${there}. Nothing was sent.`);
  else print(`${files} put, ${there}; ${asBytes(put.bytesSent)} in ${asDuration(seconds)}, checksums verified`);
}
