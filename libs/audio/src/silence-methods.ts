/** Which detector the feature settings name. */
import type { FeatureSettings } from './feature-settings.js';
import { speechByTopDb } from './silence-top-db.js';
import { speechByWebRtc } from './silence-webrtc.js';
import { speechByEnergy, type SpeechDetector } from './trim-silence.js';

export async function speechDetector({ silenceMethod, silenceTopDb }: FeatureSettings): Promise<SpeechDetector> {
  switch (silenceMethod) {
    case 'energy':
      return speechByEnergy;
    case 'top-db':
      return speechByTopDb(silenceTopDb);
    case 'webrtc':
      return speechByWebRtc();
  }
}
