/**
 * Reads the lines that ffmpeg prints while it decodes: the stated duration of the container, its tracks, gaps, damage.
 *
 * Keeps nothing else, because a damaged file may cause a line for each packet. Does not know every wording of every version
 * of ffmpeg; an unknown line changes nothing.
 */
const DAMAGE = /Error while decoding|Error submitting packet to decoder|CRC mismatch|Invalid data found when processing input/;
const NO_MEMORY = /Cannot allocate memory|[Ff]ailed to allocate|[Oo]ut of memory|malloc/;
/** `FIND_GAPS` of decode-ffmpeg.ts prints such lines in pairs: a number alone. */
const NUMBER = /^(?:\[Eval @ \S+\] )?(\d+\.\d+)$/;

export interface Gap {
  /** Seconds of sound before it, without other gaps. */
  atSec: number;
  durationSec: number;
}

export class FfmpegLog {
  /** Duration of the longest track, as the container states it; null if it states none, or if ffmpeg only guessed. */
  statedSec: number | null = null;
  tracks = 0;
  /** Times between packets for which no packet came. */
  readonly gaps: Gap[] = [];
  /** Number of packets that could not be decoded. */
  damages = 0;
  /** True if the container refers to bytes beyond the end of the file. */
  partial = false;
  /** True if ffmpeg ran out of memory: for the sound, or for a picture beside it that is not needed. */
  outOfMemory = false;
  /** True if ffmpeg ran out of memory for the sound. */
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

  /** The stated duration, if it is that of the sound because the file has no other track; else null. */
  get statedOfSoundSec(): number | null {
    return this.estimated || this.tracks > 1 ? null : this.statedSec;
  }
}
