/** `undertone export`: writes the live tiles for other tools. */
import { Command, Option } from 'nest-commander';
import { splits, streams, type Split, type Stream } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { whileHolding } from '#compaction/shard-holds.js';
import { viewOf } from '#index/training-index.js';
import { type Connections, connect } from '../connect.js';
import { exportFormats, type ExportFormat, type ExportOutcome, exportTiles } from '../export-tiles.js';
import { asBytes, counted } from '../human-units.js';
import { readView } from '../read-view.js';
import { oneOf, print, UndertoneCommand } from '../undertone-command.js';

interface ExportCommandOptions {
  out: string;
  format: ExportFormat;
  corpus?: string;
  stream?: Stream;
  split?: Split;
  tilesPerFile: number;
}

@Command({ name: 'export', description: 'Write live tiles and their labels as a NumPy array, as WebDataset tar files or as shards' })
export class ExportCommand extends UndertoneCommand {
  protected readonly example =
    './undertone export --format npy --out tiles\n  ./undertone export --format webdataset --stream labelled --split train --out train';

  async run(_arguments: string[], options: ExportCommandOptions): Promise<void> {
    const connections = connect();
    const { out, format } = options;
    const done = await whileHolding(connections.store, `undertone export into ${out}`, () => this.export(connections, options));
    connections.store.close();
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    print(`${counted(done.tiles, 'tile')} of ${counted(done.utterances, 'utterance')} in ${out}, ${asBytes(done.sizeBytes)}`);
    if (format === 'shards') print(`./undertone train --config examples/paper-aae.yaml --shards ${out}`);
    else if (format === 'npy') print(`numpy.load("${out}/tiles.npy", mmap_mode="r"), rows as in ${out}/tiles.csv`);
    else print(`webdataset.WebDataset(sorted(glob.glob("${out}/tiles-*.tar"))).decode().to_tuple("npy", "json")`);
  }

  private async export(connections: Connections, options: ExportCommandOptions): Promise<ExportOutcome> {
    const { corpus, stream, split, out, format, tilesPerFile } = options;
    const all = await readView(connections);
    const chosen = all.utterances.filter(
      (utterance) =>
        (!corpus || utterance.utteranceId.startsWith(`${corpus}/`)) &&
        (!stream || utterance.stream === stream) &&
        (!split || utterance.split === split),
    );
    const onProgress = (done: number, of: number): void => {
      if (process.stderr.isTTY && (done % 100 === 0 || done === of)) process.stderr.write(`\r${done} of ${of} tiles\u001b[K`);
    };
    const view = viewOf(all.settingsHash, chosen, all);
    return exportTiles(connections.store, view, { folder: out, format, tilesPerFile, onProgress });
  }

  @Option({ flags: '-o, --out <dir>', description: 'the folder to create', required: true })
  parseOut(folder: string): string {
    return folder;
  }

  @Option({ flags: '-f, --format <format>', description: exportFormats.join(', '), defaultValue: 'webdataset' })
  parseFormat(text: string): ExportFormat {
    return oneOf(exportFormats, text, '--format');
  }

  @Option({ flags: '-c, --corpus <name>', description: 'export this corpus only' })
  parseCorpus(name: string): string {
    return name;
  }

  @Option({ flags: '--stream <stream>', description: `export one stream only: ${streams.join(' or ')}` })
  parseStream(text: string): Stream {
    return oneOf(streams, text, '--stream');
  }

  @Option({ flags: '--split <split>', description: `export one split only: ${splits.join(', ')}` })
  parseSplit(text: string): Split {
    return oneOf(splits, text, '--split');
  }

  @Option({ flags: '--tiles-per-file <count>', description: 'most tiles in a tar file or shard', defaultValue: 4096 })
  parseTilesPerFile(text: string): number {
    const count = Number(text);
    if (!Number.isInteger(count) || count < 1)
      throw new PipelineError('CONFIG_INVALID', `--tiles-per-file ${text}: expected a whole number, 1 or more`);
    return count;
  }
}
