/** Chooses the speech detector that the feature settings name. */
import type { FeatureSettings } from '../feature-settings.js';
import { speechBySilero } from './silence-silero.js';
import { speechByTopDb } from './silence-top-db.js';
import { speechByWebRtc } from './silence-webrtc.js';
import { speechByEnergy, type SpeechDetector } from './trim-silence.js';

/** @param sileroDir folder with Silero's packages. @throws PREREQUISITE_MISSING if they are not there */
export async function speechDetector({ silenceMethod, silenceTopDb }: FeatureSettings, sileroDir?: string): Promise<SpeechDetector> {
  switch (silenceMethod) {
    case 'energy':
      return speechByEnergy;
    case 'top-db':
      return speechByTopDb(silenceTopDb);
    case 'webrtc':
      return speechByWebRtc();
    case 'silero':
      return speechBySilero(sileroDir);
  }
}
