import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { decodeAudio, type DecodeOptions } from './decode-audio.js';
import { encodeWav } from './encode-wav.js';
import { defaultFeatureSettings } from '../feature-settings.js';
import { chooseFfmpeg } from './ffmpeg-config.js';
import { canLimitMemory, limitMemory } from './limit-memory.js';
import { sniffFormat } from './sniff-format.js';

const ffmpeg = chooseFfmpeg();
const options: DecodeOptions = { ...defaultFeatureSettings, timeoutMs: 30_000, ffmpeg };
const text = (value: string) => new Uint8Array(Buffer.from(value, 'latin1'));
const tone = Float32Array.from({ length: 24_000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 24_000));
const toneWav = encodeWav([tone], { sampleRateHz: 24_000 });

function encode(...args: string[]): Uint8Array {
  const { status, stdout, stderr } = spawnSync(ffmpeg?.path ?? '', ['-v', 'error', '-f', 'wav', '-i', 'pipe:0', ...args, 'pipe:1'], {
    input: toneWav,
  });
  if (status !== 0) throw new Error(stderr.toString());
  return new Uint8Array(stdout);
}

describe('bytes that are not audio', () => {
  it.each([
    ['no bytes at all', '', 'AUDIO_EMPTY'],
    ['a text named .wav', 'This is a transcript, whatever its name says.\n', 'AUDIO_NOT_RECOGNISED'],
    ['UTF-16 text', '\xff\xfeh\x00e\x00l\x00l\x00o\x00', 'AUDIO_NOT_RECOGNISED'],
    ['a playlist', '#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n', 'AUDIO_NOT_RECOGNISED'],
    ['a FLAC marker and noise', `fLaC${'\x55'.repeat(100)}`, 'AUDIO_UNDECODABLE'],
    [
      'a FLAC header and noise',
      `fLaC\x80\x00\x00\x22\x10\x00\x10\x00${'\x00'.repeat(6)}\x03\xe8\x00\xf0${'\x00'.repeat(20)}${'\x55'.repeat(400)}`,
      'AUDIO_UNDECODABLE',
    ],
  ])('%s', async (_name, bytes, code) => {
    await expect(decodeAudio(text(bytes), options)).rejects.toMatchObject({ name: 'PipelineError', code });
  });

  it('with non-finite samples are AUDIO_NON_FINITE', async () => {
    const bytes = encodeWav([Float32Array.of(0, 0.5, Number.NaN, 0)], { sampleRateHz: 16_000, bits: 32, float: true });
    await expect(decodeAudio(bytes, options)).rejects.toMatchObject({ code: 'AUDIO_NON_FINITE', context: { sample: 2 } });
  });
});

describe('the format', () => {
  it.each([
    ['RIFF\0\0\0\0WAVE', { family: 'wav' }],
    ['RF64\0\0\0\0WAVE', { family: 'wav' }],
    ['fLaC', { family: 'flac' }],
    ['OggS', { family: 'ffmpeg', demuxer: 'ogg' }],
    ['\0\0\0\x20ftypM4A ', { family: 'ffmpeg', demuxer: 'mov' }],
    ['FORM\0\0\0\0AIFF', { family: 'ffmpeg', demuxer: 'aiff' }],
    ['\x1a\x45\xdf\xa3', { family: 'ffmpeg', demuxer: 'matroska' }],
    ['caff', { family: 'ffmpeg', demuxer: 'caf' }],
    ['#!AMR\n', { family: 'ffmpeg', demuxer: 'amr' }],
    ['\x30\x26\xb2\x75\x8e\x66\xcf\x11', { family: 'ffmpeg', demuxer: 'asf' }],
    ['\xff\xfb\x90\x00', { family: 'ffmpeg', demuxer: 'mp3' }],
    ['\xff\xf1\x50\x80', { family: 'ffmpeg', demuxer: 'aac' }],
    ['ID3\x03\0\0\0\0\0\x02xxfLaC', { family: 'flac' }],
    ['ID3\x04\0\x10\0\0\0\x02xx3DI\x04\0\x10\0\0\0\x02fLaC', { family: 'flac' }],
    ['ID3\x03\0\0\0\0\0\x02xx\xff\xf1\x50\x80', { family: 'ffmpeg', demuxer: 'aac' }],
    ['ID3\x03\0\0\0\0\0\x02xxLAME', { family: 'ffmpeg', demuxer: 'mp3' }],
    ['RIFF\0\0\0\0CDXA', null],
    ['riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0', { family: 'ffmpeg', demuxer: 'w64' }],
    ['\0\0\0\x08wide\0\0\0\0mdat', { family: 'ffmpeg', demuxer: 'mov' }],
    ['\0\0\0\0\0\0\0\0\xff\xfb\x90\x00', { family: 'ffmpeg', demuxer: 'mp3', offset: 8 }],
    ['\0\0\0\0\0\0\0\0no sound', null],
    ['\0\0\0\0\0\0\0\0', null],
    ['ID3\x03\0\0\0\0\0\x02xxRIFF\0\0\0\0WAVE', { family: 'wav', offset: 12 }],
    ['ID3\x03\0\0\0\0\0\x02xxOggS', { family: 'ffmpeg', demuxer: 'ogg', offset: 12 }],
  ])('of %j is told by content', (bytes, format) => {
    expect(sniffFormat(text(bytes))).toEqual(format);
  });
});

describe('without ffmpeg', () => {
  it('an ogg file is DECODER_MISSING, and the message says what to do', async () => {
    const decoding = decodeAudio(text(`OggS${'\0'.repeat(60)}`), { ...options, ffmpeg: null });
    await expect(decoding).rejects.toMatchObject({ code: 'DECODER_MISSING', message: expect.stringContaining('FFMPEG_BIN') });
  });

  it('none is chosen if FFMPEG_BIN names a file that does not run', () => {
    expect(chooseFfmpeg({ ...process.env, FFMPEG_BIN: '/nowhere/ffmpeg' })).toBeNull();
  });
});

describe.skipIf(!ffmpeg)('with ffmpeg', () => {
  const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('undertone-audio-')).length;

  it('bytes that only begin like a format are AUDIO_UNDECODABLE', async () => {
    const noise = Uint8Array.from({ length: 5_000 }, (_, i) => (i * 7919) % 251);
    noise.set(text('OggS'));
    const message = expect.not.stringContaining(tmpdir()) as string;
    await expect(decodeAudio(noise, options)).rejects.toMatchObject({ code: 'AUDIO_UNDECODABLE', message });
  });

  it('a cut AIFF is AUDIO_TRUNCATED', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'aiff-')), 'tone.aiff'); // its header is only right in a file
    spawnSync(ffmpeg?.path ?? '', ['-v', 'error', '-f', 'wav', '-i', 'pipe:0', path], { input: toneWav });
    const bytes = new Uint8Array(readFileSync(path));
    rmSync(join(path, '..'), { recursive: true });
    await expect(decodeAudio(bytes.subarray(0, bytes.length / 2), options)).rejects.toMatchObject({ code: 'AUDIO_TRUNCATED' });
    expect((await decodeAudio(bytes, options)).samples).toHaveLength(24_000);
  });

  it('a process that does not end is killed: AUDIO_DECODE_TIMEOUT', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slow-'));
    const path = join(folder, 'ffmpeg');
    writeFileSync(
      path,
      `#!/bin/sh\ncase "$*" in *-formats*|*-encoders*) exec ${ffmpeg?.path} "$@";; esac\necho $$ > ${folder}/pid\nexec sleep 60\n`,
    );
    chmodSync(path, 0o755);
    const slow = { path, why: 'this test', version: 'slow' };
    vi.stubEnv('TMPDIR', folder); // other tests have files in the usual one
    const decoding = decodeAudio(text(`OggS${'\0'.repeat(60)}`), { ...options, timeoutMs: 1_500, ffmpeg: slow });
    await expect(decoding).rejects.toMatchObject({ code: 'AUDIO_DECODE_TIMEOUT' });
    expect(leftovers()).toBe(0);
    vi.unstubAllEnvs();
    if (existsSync(join(folder, 'pid'))) {
      const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
      await expect.poll(() => isRunning(pid)).toBe(false);
    }
    rmSync(folder, { recursive: true });
  });

  it('a full temporary folder is DISK_FULL_WAITING, and the recording is decoded once there is room', async ({ skip }) => {
    const folder = mkdtempSync(join(tmpdir(), 'full-disk-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0;
    const before = process.env['TMPDIR'];
    try {
      if (!mounted) skip('only root can mount a small disk');
      process.env['TMPDIR'] = folder;
      const recording = encode('-c:a', 'flac', '-f', 'ogg');
      writeFileSync(join(folder, 'others'), new Uint8Array(60 * 1024));
      const decoding = decodeAudio(recording, options);
      await expect(decoding).rejects.toMatchObject({
        code: 'DISK_FULL_WAITING',
        fate: 'retryable',
        message: expect.stringContaining(folder) as string,
      });
      rmSync(join(folder, 'others'));
      expect(readdirSync(folder)).toEqual([]);
      expect((await decodeAudio(recording, options)).samples).toHaveLength(24_000);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      if (mounted) spawnSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    }
  });

  it('a file whose decoder needs too much memory is AUDIO_TOO_LARGE, and other files decode', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hungry-'));
    const path = join(folder, 'ffmpeg');
    const hungry = 'echo "Error while decoding stream #0:0: Cannot allocate memory" >&2; exit 1';
    writeFileSync(path, `#!/bin/sh\ncase "$*" in *-formats*|*-encoders*) exec ${ffmpeg?.path} "$@";; esac\n${hungry}\n`);
    chmodSync(path, 0o755);
    const decoding = decodeAudio(text(`OggS${'\0'.repeat(60)}`), { ...options, ffmpeg: { path, why: 'this test', version: 'hungry' } });
    await expect(decoding).rejects.toMatchObject({ code: 'AUDIO_TOO_LARGE', fate: 'permanent' });
    rmSync(folder, { recursive: true });
  });

  it.skipIf(!canLimitMemory())('a process cannot take more memory than its limit', async () => {
    const takeAll = 'setTimeout(() => { const all = []; for (let i = 0; i < 100; i++) all.push(Buffer.alloc(16e6, 1)); }, 300)';
    const hungry = spawn(process.execPath, ['-e', takeAll], { stdio: 'ignore' });
    limitMemory(hungry.pid);
    const code = await new Promise((resolve) => hungry.on('exit', resolve));
    expect(code).not.toBe(0);
  });

  it('a file longer than allowed is AUDIO_TOO_LONG', async () => {
    const decoding = decodeAudio(encode('-c:a', 'flac', '-f', 'ogg'), { ...options, maxDurationSec: 0.5 });
    await expect(decoding).rejects.toMatchObject({ code: 'AUDIO_TOO_LONG' });
  });

  it.each([
    ['FLAC in ogg', ['-c:a', 'flac', '-f', 'ogg']],
    ['A-law WAV', ['-c:a', 'pcm_alaw', '-f', 'wav']],
    ['Matroska', ['-c:a', 'pcm_s16le', '-f', 'matroska']],
    ['Sun audio', ['-f', 'au']],
  ])('%s decodes to its original tone at its own rate', async (_name, args) => {
    const { samples, sampleRateHz, decoder } = await decodeAudio(encode(...args), options);
    expect(sampleRateHz).toBe(24_000);
    expect(decoder).toBe(`undertone-ffmpeg 2, ffmpeg ${ffmpeg?.version}`);
    expect(samples).toHaveLength(tone.length);
    for (let i = 0; i < tone.length; i += 97) expect(samples[i]).toBeCloseTo(tone[i] as number, 1);
  });
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it('refuses a FLAC with an unsupported rate before it decodes a frame', async () => {
  const bytes = new Uint8Array(42);
  bytes.set(new TextEncoder().encode('fLaC'));
  bytes.set([0x80, 0, 0, 34], 4);
  new DataView(bytes.buffer).setUint32(18, ((655_350 << 12) | (7 << 9) | (15 << 4)) >>> 0);
  await expect(decodeAudio(bytes, { ...defaultFeatureSettings, timeoutMs: 1_000, ffmpeg: null })).rejects.toThrow(
    /a sample rate of 655350 Hz is not supported/,
  );
});
