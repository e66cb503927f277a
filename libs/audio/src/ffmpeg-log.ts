/**
 * Reads what ffmpeg prints while it decodes: the duration that the container states, its tracks, gaps in the sound, damage.
 *
 * Keeps nothing but these: a damaged file may print a line for each packet. Does not promise to know every wording of every
 * version of ffmpeg; a line that is not known changes nothing.
 */
const DAMAGE = /Error while decoding|Error submitting packet to decoder|CRC mismatch|Invalid data found when processing input/;
const NO_MEMORY = /Cannot allocate memory|[Ff]ailed to allocate|[Oo]ut of memory|malloc/;
/** Printed by `GAPS_AS_SILENCE` of decode-ffmpeg.ts: a number alone. */
const GAP = /^(?:\[Eval @ \S+\] )?(\d+\.\d+)$/;

export class FfmpegLog {
  /** Of the longest track, as the container says; null: it does not say, or ffmpeg only guessed. */
  statedSec: number | null = null;
  tracks = 0;
  /** Seconds for which no packet came between others; silence stands for them. */
  gapSec = 0;
  /** Packets that could not be decoded. */
  damages = 0;
  /** The container points at bytes behind the end of the file. */
  partial = false;
  /** Something could not be had in memory: the sound, or a picture beside it that is not wanted. */
  outOfMemory = false;
  /** It was the sound. */
  soundOutOfMemory = false;
  last = '';
  private ofOutput = false;
  private estimated = false;

  take(line: string): void {
    const text = line.trim();
    if (text === '') return;
    this.last = text;
    const gap = GAP.exec(text);
    if (gap) {
      this.gapSec += Number(gap[1]);
      return;
    }
    if (text.startsWith('Output #')) this.ofOutput = true;
    if (!this.ofOutput) this.takeOfInput(text);
    if (DAMAGE.test(text)) this.takeDamage(text);
    if (text.includes('partial file')) this.partial = true;
    if (NO_MEMORY.test(text)) this.outOfMemory = true;
  }

  private takeDamage(text: string): void {
    this.damages++;
    if (NO_MEMORY.test(text)) this.soundOutOfMemory = true;
  }

  private takeOfInput(text: string): void {
    const stated = /^Duration: (\d+):(\d+):([\d.]+)/.exec(text);
    if (stated) this.statedSec = Number(stated[1]) * 3600 + Number(stated[2]) * 60 + Number(stated[3]);
    if (text.includes('Estimating duration')) this.estimated = true;
    if (/^Stream #.*: (?:Audio|Video|Subtitle|Data|Attachment): /.test(text)) this.tracks++;
  }

  /** The stated duration, where it is stated and is that of the sound: there is no other track. */
  get statedOfSoundSec(): number | null {
    return this.estimated || this.tracks > 1 ? null : this.statedSec;
  }
}
