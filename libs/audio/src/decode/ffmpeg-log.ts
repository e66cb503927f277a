/**
 * Reads what ffmpeg prints while it decodes: the duration that the container states, its tracks, gaps in the sound, damage.
 *
 * Keeps nothing but these: a damaged file may print a line for each packet. Does not promise to know every wording of every
 * version of ffmpeg; a line that is not known changes nothing.
 */
const DAMAGE = /Error while decoding|Error submitting packet to decoder|CRC mismatch|Invalid data found when processing input/;
const NO_MEMORY = /Cannot allocate memory|[Ff]ailed to allocate|[Oo]ut of memory|malloc/;
/** Printed in pairs by `FIND_GAPS` of decode-ffmpeg.ts: a number alone. */
const NUMBER = /^(?:\[Eval @ \S+\] )?(\d+\.\d+)$/;

export interface Gap {
  /** Seconds of sound before it, other gaps not counted. */
  atSec: number;
  durationSec: number;
}

export class FfmpegLog {
  /** Of the longest track, as the container says; null: it does not say, or ffmpeg only guessed. */
  statedSec: number | null = null;
  tracks = 0;
  /** Times for which no packet came between others. */
  readonly gaps: Gap[] = [];
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
  private gapAtSec: number | null = null;
  private estimated = false;

  take(line: string): void {
    const text = line.trim();
    if (text === '') return;
    this.last = text;
    const number = NUMBER.exec(text);
    if (number) {
      this.takeNumber(Number(number[1]));
      return;
    }
    if (text.startsWith('Output #')) this.ofOutput = true;
    if (!this.ofOutput) this.takeOfInput(text);
    if (DAMAGE.test(text)) this.takeDamage(text);
    if (text.includes('partial file')) this.partial = true;
    if (NO_MEMORY.test(text)) this.outOfMemory = true;
  }

  private takeNumber(value: number): void {
    if (this.gapAtSec !== null) this.gaps.push({ atSec: this.gapAtSec, durationSec: value });
    this.gapAtSec = this.gapAtSec === null ? value : null;
  }

  get gapSec(): number {
    return this.gaps.reduce((sum, { durationSec }) => sum + durationSec, 0);
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
