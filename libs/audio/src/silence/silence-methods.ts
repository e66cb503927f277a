/** Which detector the feature settings name. */
import type { FeatureSettings } from '../feature-settings.js';
import { speechBySilero } from './silence-silero.js';
import { speechByTopDb } from './silence-top-db.js';
import { speechByWebRtc } from './silence-webrtc.js';
import { speechByEnergy, type SpeechDetector } from './trim-silence.js';

/** @param sileroDir where Silero's packages are installed. @throws PREREQUISITE_MISSING where they are not */
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
