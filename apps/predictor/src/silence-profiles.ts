/**
 * The silence profile of each live utterance, which is no part of the feature settings. A recording that the bucket does not
 * have is cut as most of the bucket's are: a model that never saw a second of silence in front of a sentence answers nonsense
 * for it.
 */
import { silenceProfiles, type SilenceProfile } from '#contracts/labels.js';

export class SilenceProfiles {
  private readonly profiles = new Map<string, SilenceProfile>();
  private readonly counts = new Map<SilenceProfile, number>(silenceProfiles.map((profile) => [profile, 0]));

  /** @param profile null for a deleted utterance */
  note(utteranceId: string, profile: SilenceProfile | null): void {
    const before = this.profiles.get(utteranceId);
    if (before) this.add(before, -1);
    this.profiles.delete(utteranceId);
    if (profile === null) return;
    this.profiles.set(utteranceId, profile);
    this.add(profile, 1);
  }

  /** @returns the usual profile for an utterance that is not known */
  of(utteranceId: string): SilenceProfile {
    return this.profiles.get(utteranceId) ?? this.usual();
  }

  /** @returns the profile of most live utterances; `ends` if there is none */
  usual(): SilenceProfile {
    const [profile, count] = [...this.counts].reduce((most, each) => (each[1] > most[1] ? each : most));
    return count > 0 ? profile : 'ends';
  }

  private add(profile: SilenceProfile, change: number): void {
    this.counts.set(profile, (this.counts.get(profile) ?? 0) + change);
  }
}
