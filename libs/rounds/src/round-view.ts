/** The versions that a running round was given, to tell by each new record whether one of them has ceased to be alive. */
import type { TrainingView } from '#index/training-index.js';

export class RoundView {
  private readonly versions: ReadonlyMap<string, string>;

  constructor(view: TrainingView) {
    this.versions = new Map(view.utterances.map(({ utteranceId, version }) => [utteranceId, version]));
  }

  has(utteranceId: string, version: string): boolean {
    return this.versions.get(utteranceId) === version;
  }

  /** @param version as it is now; undefined: erased @returns whether the round has another one */
  differs(utteranceId: string, version: string | undefined): boolean {
    const own = this.versions.get(utteranceId);
    return own !== undefined && own !== version;
  }
}
