/** The versions in a running round. Each new record is compared with them, to find utterances that are no longer alive. */
import type { TrainingView } from '#index/training-index.js';

export class RoundView {
  private readonly versions: ReadonlyMap<string, string>;

  constructor(view: TrainingView) {
    this.versions = new Map(view.utterances.map(({ utteranceId, version }) => [utteranceId, version]));
  }

  has(utteranceId: string, version: string): boolean {
    return this.versions.get(utteranceId) === version;
  }

  /** @param version current version; undefined if erased @returns true if the round has another version */
  differs(utteranceId: string, version: string | undefined): boolean {
    const own = this.versions.get(utteranceId);
    return own !== undefined && own !== version;
  }
}
