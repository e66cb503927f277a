/**
 * Records the test's actions on one corpus: its objects and its manifest, and from these the expected live utterances. It reads
 * nothing from the pipeline. ETag and size come from the store's answers to the test.
 */
import type { EmotionCategory, Gender, Labels, Split } from '#contracts/labels.js';
import { corpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { utteranceVersion } from '#contracts/utterances.js';
import { hashedSplit, isWithheld } from '#corpora/splits.js';
import type { MadeAudio } from './made-audio.js';

export interface ManifestRow {
  speaker: string;
  gender: Gender;
  emotion: EmotionCategory | undefined;
  split: Split | undefined;
}

export interface StoredState {
  etag: string;
  sizeBytes: number;
  audio: MadeAudio;
}

export class TrueObject {
  readonly key: string;
  readonly utteranceId: string;
  current: StoredState | undefined;
  /** Every earlier state of the object, by ETag. */
  readonly states = new Map<string, StoredState>();
  readonly history: string[] = [];
  isBusy = false;

  constructor(
    readonly corpus: string,
    readonly path: string,
  ) {
    this.key = corpusKey(corpus, path);
    this.utteranceId = utteranceIdOf(corpus, path);
  }

  tell(what: string): void {
    this.history.push(`${new Date().toISOString().slice(11, 23)} ${what}`);
  }
}

/** The expected state of one object that exists at the end. */
export interface Truth {
  object: TrueObject;
  state: StoredState;
  version: string;
  labels: Labels;
}

export class TrueCorpus {
  readonly objects: TrueObject[] = [];
  /** The manifest's text in the bucket. */
  readonly rows = new Map<string, ManifestRow>();

  constructor(readonly name: string) {}

  get manifest(): string {
    const lines = [...this.rows].map(([path, { speaker, gender, emotion, split }]) =>
      [path, speaker, gender, emotion ?? '', split ?? ''].join(','),
    );
    return `path,speaker,gender,emotion,split\n${lines.join('\n')}\n`;
  }

  /** The expected states of all existing objects. */
  truths(): Truth[] {
    return this.objects.flatMap((object) => (object.current ? [this.truthOf(object, object.current)] : []));
  }

  private truthOf(object: TrueObject, state: StoredState): Truth {
    const row = this.rows.get(object.path);
    const speakerId = row && `${this.name}/${row.speaker}`;
    const labels: Labels = { speakerId, gender: row?.gender, category: row?.emotion };
    const split = row?.split ?? hashedSplit(this.name, row?.speaker);
    const withheld = isWithheld(split, speakerId, object.utteranceId);
    const { etag, sizeBytes } = state;
    return { object, state, labels, version: utteranceVersion({ etag, sizeBytes, labels, split, withheld, silence: 'none' }) };
  }
}
