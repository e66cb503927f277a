/**
 * Writes and reads the predictions of one task as an Arrow IPC file: one row per utterance with its truth and the probability of each class.
 * The trainer writes the file, the evaluator scores it, and any Arrow reader can open it.
 */
import {
  Field,
  FixedSizeList,
  Float32,
  Int32,
  Table,
  Utf8,
  makeData,
  tableFromIPC,
  tableToIPC,
  vectorFromArray,
  Vector,
} from 'apache-arrow';
import { genders, type Gender, type ScoredSplit } from '#contracts/labels.js';

export interface PredictionRow {
  utteranceId: string;
  split: ScoredSplit;
  /** Empty if the speaker is unknown. */
  speakerId: string;
  /** Undefined if it is unknown, and in files of old releases. */
  gender?: Gender | undefined;
  truth: number;
  /** Probability of each class, as the mean over the utterance's tiles. */
  probabilities: Float32Array;
}

export function writePredictions(rows: readonly PredictionRow[], classCount: number): Uint8Array {
  const flat = new Float32Array(rows.length * classCount);
  rows.forEach((row, index) => flat.set(row.probabilities, index * classCount));
  const values = makeData({ type: new Float32(), length: flat.length, nullCount: 0, data: flat });
  const listType = new FixedSizeList(classCount, new Field('item', new Float32(), false));
  const lists = makeData({ type: listType, length: rows.length, nullCount: 0, child: values });
  const table = new Table({
    utterance_id: vectorFromArray(
      rows.map((row) => row.utteranceId),
      new Utf8(),
    ),
    split: vectorFromArray(
      rows.map((row) => row.split),
      new Utf8(),
    ),
    speaker: vectorFromArray(
      rows.map((row) => row.speakerId),
      new Utf8(),
    ),
    gender: vectorFromArray(
      rows.map((row) => row.gender ?? null),
      new Utf8(),
    ),
    truth: vectorFromArray(
      rows.map((row) => row.truth),
      new Int32(),
    ),
    probabilities: new Vector([lists]),
  });
  return tableToIPC(table, 'file');
}

export function readPredictions(bytes: Uint8Array): PredictionRow[] {
  const table = tableFromIPC(bytes);
  return Array.from({ length: table.numRows }, (_, index) => {
    const row = table.get(index)?.toJSON() as {
      utterance_id: string;
      split: ScoredSplit;
      speaker: string;
      gender?: string | null;
      truth: number;
      probabilities: Vector<Float32>;
    };
    const gender = genders.find((each) => each === row.gender);
    return {
      utteranceId: row.utterance_id,
      split: row.split,
      speakerId: row.speaker,
      ...(gender && { gender }),
      truth: row.truth,
      probabilities: Float32Array.from(row.probabilities.toArray()),
    };
  });
}
