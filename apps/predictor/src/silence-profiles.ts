/** The silence profile of each live utterance, which is no part of the feature settings. Most utterances have `none`. */
import type { SilenceProfile } from '#contracts/labels.js';

export class SilenceProfiles {
  private readonly others = new Map<string, SilenceProfile>();

  /** @param profile null for a deleted utterance */
  note(utteranceId: string, profile: SilenceProfile | null): void {
    if (profile === null || profile === 'none') this.others.delete(utteranceId);
    else this.others.set(utteranceId, profile);
  }

  of(utteranceId: string): SilenceProfile {
    return this.others.get(utteranceId) ?? 'none';
  }
}
