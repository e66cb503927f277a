#!/usr/bin/env python3
"""Makes Undertone's sample corpora beside this file.

  acted/              an acted corpus: synthetic voices (espeak-ng), four emotions, a manifest
  acted-faint/        another one, and a harder one: other voices and sentences, emotions fainter, voices further apart
  librispeech-mini/   an unlabelled corpus in LibriSpeech's layout: five real LibriVox recordings and
                      further synthetic voices that read neutrally

The acted corpora are SYNTHETIC. An "emotion" here is a row of the table below, and nothing else: a result on
them says that the plumbing works, never that anything recognises how a person feels.

Needs: python3 with numpy and scipy, espeak-ng (1.51), flac, and Debian's pocketsphinx-testdata.
Usage: python3 samples/make-samples.py [--out DIR] [--librivox DIR]

Every draw comes from SEED and the name of what is drawn for, so that one clip does not depend on another, and
a second run with the same tools gives the same bytes. The script stops with an error if a voice is not of the
gender it is meant to be: espeak-ng ignores a variant silently where it cannot use it (`en-gb+f2` is male).
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import lfilter, resample_poly

SEED = 20240611
RATE = 16_000
ESPEAK_RATE = 22_050

# ---------------------------------------------------------------------------------------------------------
# Emotion -> prosody, relative to the same voice's neutral reading.
#   pitch_st   shift of the base pitch, semitones
#   range      factor on the pitch range
#   rate       factor on the words per minute
#   gain_db    level (mostly lost to whoever normalises an utterance to its own maximum)
#   pause_ms   pause at the phrase boundary
#   exclaim    how often the sentence ends as an exclamation: espeak-ng has a livelier intonation for it
#   smile      formants raised by that many per cent (spread lips shorten the vocal tract)
#   onset      exponent of the transient shaper: > 0 hardens attacks, < 0 softens them
#   tilt_db    vocal effort: gain of a first-order high shelf from about 1.5 kHz. Louder speech has a flatter
#              glottal spectrum; espeak-ng's source does not, so a filter stands in for it.
#   drive      soft saturation of a pressed voice (0 = none)
#   breath_db  aspiration noise above 2 kHz that follows the envelope, relative to the speech (None = none)
#   activation, valence   means on the scale 1..5
# ---------------------------------------------------------------------------------------------------------
EMOTIONS = {
    'angry':   dict(pitch_st=+2.6, range=1.35, rate=1.13, gain_db=+6, pause_ms=35, onset=+0.40, exclaim=0.7,
                    smile=0.0, tilt_db=+4.2, drive=1.2, breath_db=None, activation=4.3, valence=1.7),
    'happy':   dict(pitch_st=+4.2, range=2.00, rate=1.08, gain_db=+3, pause_ms=60, onset=+0.10, exclaim=0.7,
                    smile=4.0, tilt_db=+1.5, drive=0.0, breath_db=None, activation=3.9, valence=4.3),
    'neutral': dict(pitch_st=+0.0, range=1.00, rate=1.00, gain_db=+0, pause_ms=90, onset=+0.00, exclaim=0.0,
                    smile=0.0, tilt_db=+0.0, drive=0.0, breath_db=None, activation=2.6, valence=3.0),
    'sad':     dict(pitch_st=-1.8, range=0.50, rate=0.89, gain_db=-6, pause_ms=170, onset=-0.25, exclaim=0.0,
                    smile=0.0, tilt_db=-3.8, drive=0.0, breath_db=-26, activation=1.8, valence=1.9),
}

# How far voices and utterances stray from that table, so that emotions overlap. `strength` multiplies every
# difference from neutral; the others are added, or as exp(N(0, sd)) multiplied.
SPEAKER_STRENGTH = (0.70, 1.15)  # uniform, per voice and emotion
UTTERANCE_STRENGTH = (1.0, 0.25, 0.35, 1.5)  # normal mean, sd, and its bounds
SPEAKER_SD = dict(pitch_st=0.5, range=0.10, rate=0.04, tilt_db=0.8, pause=0.15)
UTTERANCE_SD = dict(pitch_st=0.7, range=0.14, rate=0.05, gain_db=1.5, tilt_db=1.1, onset=0.08, pause=0.35)
SCALE_SD = 0.3  # of activation and valence, beside what strength does to them

NEUTRAL_RMS_DB = -25.0  # dBFS
PEAK = 0.95

# Neutral in content, the same for every voice and emotion; `|` is the phrase boundary where the pause goes.
SENTENCES = [
    'The train leaves | at half past nine.',
    'I put the box | on the kitchen table.',
    'She is going | to the shop on Monday.',
    'They moved the chairs | into the other room.',
    'We will meet | by the door at seven.',
    'There are four books | on the lower shelf.',
]


FAINT_SENTENCES = [
    'The lamp is standing | beside the green chair.',
    'He will bring | the papers after lunch.',
    'You can leave | your coat in the hall.',
    'It was raining | when the bus arrived.',
]


@dataclass(frozen=True)
class Voice:
    """`pitch` is espeak-ng's -p (0..99), `wpm` its -s, and `formants` a resampling by that many per cent,
    which moves the formants (and, a little, pitch and rate) of the voice."""

    id: str
    gender: str
    espeak: str
    pitch: int
    wpm: int
    formants: int
    split: str = ''


VOICES = [
    Voice('f01', 'female', 'en-us+f1', 68, 178, 100, 'train'),
    Voice('f02', 'female', 'en-029+f2', 58, 184, 102, 'train'),
    Voice('f03', 'female', 'en-gb-scotland+f3', 42, 172, 97, 'train'),
    Voice('f04', 'female', 'en-gb-x-rp+f4', 64, 180, 104, 'train'),
    Voice('f05', 'female', 'en-us+f5', 45, 188, 96, 'train'),
    Voice('f06', 'female', 'en-gb-x-gbclan+Annie', 36, 176, 100, 'train'),
    Voice('f07', 'female', 'en-us-nyc+Andrea', 40, 170, 98, 'dev'),
    Voice('f08', 'female', 'en-us+linda', 43, 178, 99, 'test'),
    Voice('f09', 'female', 'en-gb-x-gbcwmd+f2', 48, 174, 105, 'test'),
    Voice('m01', 'male', 'en-us+m1', 44, 176, 100, 'train'),
    Voice('m02', 'male', 'en-029+m2', 56, 186, 103, 'train'),
    Voice('m03', 'male', 'en-us+Michael', 50, 170, 97, 'train'),
    Voice('m04', 'male', 'en-gb-x-gbcwmd+robert', 60, 180, 102, 'train'),
    Voice('m05', 'male', 'en-us+m7', 60, 182, 96, 'train'),
    Voice('m06', 'male', 'en-gb-x-gbclan+Alex', 57, 174, 104, 'train'),
    Voice('m07', 'male', 'en-us-nyc+max', 50, 172, 99, 'dev'),
    Voice('m08', 'male', 'en-gb-scotland+m3', 51, 180, 101, 'test'),
    Voice('m09', 'male', 'en-gb-x-rp+m4', 56, 176, 98, 'test'),
]

FAINT_VOICES = [
    Voice('f11', 'female', 'en-us-nyc+f3', 50, 176, 103, 'train'),
    Voice('f12', 'female', 'en-gb-x-gbclan+f4', 55, 170, 98, 'train'),
    Voice('f13', 'female', 'en-029+Alicia', 40, 180, 101, 'train'),
    Voice('f14', 'female', 'en-us+steph2', 50, 174, 97, 'train'),
    Voice('f15', 'female', 'en-gb-scotland+f1', 60, 182, 104, 'dev'),
    Voice('f16', 'female', 'en-gb-x-rp+belinda', 50, 172, 100, 'test'),
    Voice('m11', 'male', 'en-us+m3', 50, 174, 103, 'train'),
    Voice('m12', 'male', 'en-us-nyc+m2', 54, 180, 97, 'train'),
    Voice('m13', 'male', 'en-gb-x-gbclan+m4', 55, 170, 101, 'train'),
    Voice('m14', 'male', 'en-gb-scotland+adam', 50, 184, 98, 'train'),
    Voice('m15', 'male', 'en-029+m6', 52, 176, 96, 'dev'),
    Voice('m16', 'male', 'en-gb-x-rp+ed', 50, 172, 104, 'test'),
]


@dataclass(frozen=True)
class Acting:
    """An acted corpus, and how hard it is. `strength` multiplies how far a clip goes from neutral to its emotion (how
    often it is exclaimed stays); `habits`, how far a voice strays from the table in all its clips."""

    folder: str
    voices: list
    sentences: list
    strength: float = 1.0
    habits: float = 1.0


ACTED = Acting('acted', VOICES, SENTENCES)
FAINT = Acting('acted-faint', FAINT_VOICES, FAINT_SENTENCES, strength=0.7, habits=1.5)

# The unlabelled corpus. LibriSpeech names a reader by a number; its own end below 9000, so that none of these
# can be taken for one of them.
READER = '99001'  # the LibriVox reader
FURTHER_VOICES = [
    Voice('99101', 'female', 'en-us+grandma', 45, 168, 101),
    Voice('99102', 'male', 'en-us+m5', 53, 172, 98),
    Voice('99103', 'female', 'en-gb-x-rp+shelby', 47, 164, 97),
    Voice('99104', 'male', 'en-gb-scotland+travis', 45, 176, 102),
    Voice('99105', 'female', 'en-029+aunty', 57, 170, 103),
    Voice('99106', 'male', 'en-us-nyc+Denis', 55, 162, 96),
    Voice('99107', 'female', 'en-gb-x-gbclan+steph', 50, 174, 99),
    Voice('99108', 'male', 'en-gb-x-gbcwmd+m8', 58, 168, 100),
    Voice('99109', 'female', 'en-us+Alicia', 38, 178, 98),
    Voice('99110', 'male', 'en-us+edward', 50, 166, 104),
]
READINGS_PER_VOICE = 6
READINGS = [
    'The road ran along the river for a mile, and then turned towards the hills.',
    'In the morning the shopkeeper opened his shutters and set out the apples.',
    'A long wall of grey stone divided the garden from the field.',
    'The letters were sorted by street before they were carried out.',
    'On the first page there was a map of the coast and its harbours.',
    'The mill stood at the bend of the stream, where the water was slow.',
    'Each of the rooms had a window to the south and a small table.',
    'The boat was loaded with timber, and the deck was nearly wet.',
    'By the end of the week the gate had been painted green.',
    'The museum keeps a large collection of clocks, most of them made in the town.',
    'They crossed the bridge at noon and reached the station before four.',
    'A path of flat stones led from the kitchen to the orchard.',
    'The teacher wrote the names of the months on the board.',
    'The wind had moved round to the west, and the clouds were thin and high.',
    'There was a cupboard under the stairs for the brooms and the buckets.',
    'The carpenter measured the plank twice, and cut it in half.',
    'From the tower one could see the market square and the railway.',
    'The second volume is shorter than the first, and has no pictures.',
]

GENDER_F0 = {'female': (165.0, 400.0), 'male': (60.0, 155.0)}  # Hz, what a neutral median must lie between
MIN_VOICE_DISTANCE = 1.0  # dB between the mean spectra of two voices, plus semitones between their medians


def rng(*key):
    """A generator of its own for whatever is named."""
    return np.random.default_rng([SEED, zlib.crc32('/'.join(map(str, key)).encode())])


def db(value):
    return 10 ** (value / 20)


def rms(x):
    return float(np.sqrt(np.mean(x**2)) + 1e-12)


# --- speech ----------------------------------------------------------------------------------------------


def speak(voice, text, wpm, pitch, pitch_range=1.0, smile=0.0):
    """espeak-ng's samples for the SSML `text`, at RATE, formants moved as the voice and the smile say."""
    # Resampling moves pitch and rate as well; those of the smile are taken back here.
    wpm /= 1 + smile / 100
    pitch -= 12 * np.log2(1 + smile / 100) / SEMITONES_PER_STEP
    args = ['espeak-ng', '-m', '-z', '-v', voice.espeak, '-s', str(round(wpm)), '-a', '60', '--stdout',
            '-p', str(int(np.clip(round(pitch), 0, 99)))]
    ssml = f'<prosody range="{round(100 * pitch_range)}%">{text}</prosody>'
    wav = subprocess.run([*args, ssml], check=True, capture_output=True).stdout
    # The header of a stream gives no true length: 44 bytes, then 16-bit samples.
    x = np.frombuffer(wav[44 : 44 + (len(wav) - 44) // 2 * 2], '<i2') / 32768
    if len(x) < ESPEAK_RATE // 4:
        raise SystemExit(f'espeak-ng -v {voice.espeak} said next to nothing')
    if np.mean(np.abs(x) > 0.999) > 1e-3:
        raise SystemExit(f'espeak-ng -v {voice.espeak} clips')
    ratio = Fraction(RATE * 100, ESPEAK_RATE * round(voice.formants + smile))
    return resample_poly(x, ratio.numerator, ratio.denominator)


SEMITONES_PER_STEP = 0.178  # of espeak-ng's -p, measured between 20 and 80


def envelope(x, ms):
    a = np.exp(-1 / (RATE * ms / 1000))
    return lfilter([1 - a], [1, -a], np.abs(x))


def trim(x, below_db=-45):
    """Cuts what is quiet at both ends."""
    e = envelope(x, 4)
    loud = np.flatnonzero(e > e.max() * db(below_db))
    return x[max(0, loud[0] - 80) : loud[-1] + 160]


def high_shelf(x, gain_db, corner=1500.0):
    """First order: 0 dB far below the corner, gain_db far above it."""
    g = db(gain_db)
    k = np.tan(np.pi * corner / RATE)
    # Bilinear transform of H(s) = (g s + w sqrt(g)) / (s + w sqrt(g)); written so that a cut mirrors a boost.
    rk = k * np.sqrt(g)
    return lfilter([(g + rk) / (1 + rk), (rk - g) / (1 + rk)], [1, (rk - 1) / (1 + rk)], x)


def shape_onsets(x, exponent):
    """Raises (or lowers) what is louder than the last 60 ms: attacks grow harder or softer."""
    fast, slow = envelope(x, 4), envelope(x, 60)
    floor = 1e-3 * np.max(np.abs(x))
    ratio = np.clip((fast + floor) / (slow + floor), 0.5, 3.0)
    return x * ratio**exponent


def finish(x, level_db, room_db, key, edges_s):
    """Level, silence at both ends, and a room: faint low-passed noise at room_db below the clip's own peak. It
    is relative to the clip, so that the recording level (and with it the emotion) cannot be read off the floor."""
    draw = rng(*key, 'room')
    x = np.concatenate([np.zeros(int(edges_s[0] * RATE)), x, np.zeros(int(edges_s[1] * RATE))])
    noise = lfilter([1], [1, -0.7], draw.standard_normal(len(x)))
    speech = x[np.abs(x) > 1e-4 * np.max(np.abs(x))]
    x = x * min(db(level_db) / rms(speech), PEAK / np.max(np.abs(x)))
    return x + noise / rms(noise) * np.max(np.abs(x)) * db(room_db)


STEPS = 192  # the most steps that a clip's peak may take after quantise(); the fewest are half as many


def quantise(x):
    """16-bit samples whose low bits are cleared, as many as leave the peak between STEPS / 2 and STEPS steps: FLAC
    stores such samples without the low bits. How many follows the clip's own level, so that the noise lies as
    far below a soft clip as below a loud one. The error goes through 1 + 0.6 z^-1, so that there is least of
    it at high frequencies, where speech is weakest."""
    step = 2.0 ** max(0, np.ceil(np.log2(np.max(np.abs(x)) * 32768 / STEPS)))
    out, error = [], 0.0
    for sample in (x * 32768 / step).tolist():
        wanted = sample - 0.6 * error
        out.append(round(wanted))
        error = wanted - out[-1]
    return np.clip(np.array(out) * step, -32768, 32768 - step).astype('<i2')


def write_flac(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    args = ['flac', '-8', '--silent', '--force', '-e', '-p', '--no-padding', '--no-seektable', '--force-raw-format',
            '--endian=little', '--sign=signed', '--channels=1', '--bps=16', f'--sample-rate={RATE}', '-o', str(path), '-']
    subprocess.run(args, input=samples.tobytes(), check=True)


# --- the acted corpora -----------------------------------------------------------------------------------


def act(acting, voice, emotion, number):
    """One clip and its activation and valence."""
    e, n = EMOTIONS[emotion], EMOTIONS['neutral']
    own = rng(voice.id)
    own = {k: own.normal(0, acting.habits * sd) for k, sd in SPEAKER_SD.items()}
    habit = rng(voice.id, emotion).uniform(*SPEAKER_STRENGTH)
    key = (voice.id, emotion, number)
    draw = rng(*key)
    mean, sd, low, high = UTTERANCE_STRENGTH
    utterance = acting.strength * float(np.clip(draw.normal(mean, sd), low, high))
    strength = habit * utterance
    j = {k: draw.normal(0, sd) for k, sd in UTTERANCE_SD.items()}

    def log_factor(name):
        return strength * np.log(e[name] / n[name]) + own[name] + j[name]

    pause = n['pause_ms'] * np.exp(strength * np.log(e['pause_ms'] / n['pause_ms']) + own['pause'] + j['pause'])
    semitones = strength * e['pitch_st'] + own['pitch_st'] + j['pitch_st']
    first, second = (part.strip() for part in acting.sentences[number - 1].split('|'))
    if draw.random() < e['exclaim']:
        second = second.rstrip('.') + '!'
    text = f'{first} <break time="{round(pause)}ms"/> {second}'
    x = speak(voice, text, 1.04 * voice.wpm * np.exp(log_factor('rate')), voice.pitch + semitones / SEMITONES_PER_STEP,
              float(np.clip(np.exp(log_factor('range')), 0.2, 2.6)),
              smile=strength * e['smile'])
    x = trim(x)
    x = shape_onsets(x, strength * e['onset'] + j['onset'])
    if e['drive']:
        d = strength * e['drive'] / np.max(np.abs(x))
        x = np.tanh(d * x) / d
    if e['breath_db'] is not None:
        hiss = draw.standard_normal(len(x))
        hiss = hiss - lfilter([0.55], [1, -0.45], hiss)
        hiss *= envelope(x, 8)
        x = x + hiss * rms(x) / rms(hiss) * db(e['breath_db'] + 4 * (strength - 1))
    x = high_shelf(x, strength * e['tilt_db'] + own['tilt_db'] + j['tilt_db'])
    room_db = rng(voice.id, 'room').uniform(-66, -58)
    level = NEUTRAL_RMS_DB + strength * e['gain_db'] + j['gain_db']
    x = finish(x, level, room_db, key, draw.uniform(0.02, 0.06, 2))

    def scale(name):
        value = n[name] + utterance**0.5 * (e[name] - n[name]) + draw.normal(0, SCALE_SD)
        return round(float(np.clip(value, 1, 5)), 1)

    return quantise(x), scale('activation'), scale('valence')


def make_acted(acting, root, pool):
    voices, numbers = acting.voices, range(1, len(acting.sentences) + 1)
    jobs = [(v, e, number) for v in voices for e in EMOTIONS for number in numbers]
    clips = dict(zip(jobs, pool.map(lambda job: act(acting, *job), jobs)))
    report = assert_genders(voices, {v: [clips[v, 'neutral', number][0] for number in numbers] for v in voices})
    rows = []
    for (voice, emotion, number), (samples, activation, valence) in clips.items():
        path = f'audio/{voice.id}/{voice.id}-{emotion}-{number:02d}.flac'
        # A session is a pair of voices, one of each gender, as where two actors share one.
        session = int(voice.id[1:])
        rows.append([path, voice.id, voice.gender, emotion, activation, valence, session, voice.split])
    list(pool.map(lambda item: write_flac(root / item[0][0], item[1][0]), zip(rows, clips.values())))
    with open(root / 'manifest.csv', 'w', newline='') as f:
        out = csv.writer(f, lineterminator='\n')
        out.writerow('path,speaker,gender,emotion,activation,valence,session,split'.split(','))
        out.writerows(rows)
    description = (
        f'Synthetic: {len(voices)} espeak-ng voices "act" four emotions by a table of prosody settings. It exercises the '
        'pipeline; no result on it says anything about real emotion.'
    )
    corpus = {'reader': 'manifest', 'silence': 'none', 'description': description}
    (root / 'corpus.json').write_text(json.dumps(corpus, indent=2) + '\n')
    return report, [len(c[0]) / RATE for c in clips.values()]


# --- the unlabelled corpus -------------------------------------------------------------------------------


def read_aloud(voice, index, number):
    """One neutral reading: its text and its samples, with 0.3 to 0.8 s of silence at both ends."""
    key = (voice.id, 'reading', number)
    draw = rng(*key)
    order = rng('readings').permutation(len(READINGS))
    text = READINGS[order[(index * 5 + number) % len(READINGS)]]
    x = trim(speak(voice, text, 1.08 * voice.wpm * np.exp(draw.normal(0, 0.05)),
                   voice.pitch + draw.normal(0, 0.8) / SEMITONES_PER_STEP, np.exp(draw.normal(0, 0.12))))
    x = high_shelf(x, rng(voice.id, 'tilt').normal(0, 1.5) + draw.normal(0, 0.8))
    room_db = rng(voice.id, 'room').uniform(-66, -58)
    return text, quantise(finish(x, NEUTRAL_RMS_DB + draw.normal(0, 1.5), room_db, key, draw.uniform(0.3, 0.8, 2)))


def librivox(folder):
    """The recordings of the test data, whole: each is one utterance of 3 to 7 s, cut at pauses already."""
    said = {}
    for line in (folder / 'transcription').read_text().splitlines():
        text, name = line.rsplit('(', 1)
        said[name.strip(' )')] = text.replace('<s>', '').replace('</s>', '').strip()
    for name in (folder / 'fileids').read_text().split():
        rate, samples = wavfile.read(folder / f'{name}.wav')
        assert rate == RATE and samples.ndim == 1 and samples.dtype == np.int16, name
        yield said[name], samples


def write_chapter(root, speaker, chapter, utterances, pool):
    folder = root / 'train-clean-100' / speaker / chapter
    names = [f'{speaker}-{chapter}-{i:04d}' for i in range(len(utterances))]
    list(pool.map(lambda job: write_flac(folder / f'{job[0]}.flac', job[1][1]), zip(names, utterances)))
    lines = [f'{name} {"".join(c for c in text.upper() if c.isalpha() or c in " " + chr(39))}\n'
             for name, (text, _) in zip(names, utterances)]
    (folder / f'{speaker}-{chapter}.trans.txt').write_text(''.join(lines))


def make_unlabelled(root, recordings, pool):
    jobs = [(v, i, n) for i, v in enumerate(FURTHER_VOICES) for n in range(READINGS_PER_VOICE)]
    read = list(pool.map(lambda job: read_aloud(*job), jobs))
    by_voice = {v: [u for (w, _, _), u in zip(jobs, read) if w is v] for v in FURTHER_VOICES}
    report = assert_genders(FURTHER_VOICES, {v: [s for _, s in us] for v, us in by_voice.items()})
    real = list(librivox(recordings))
    clips = [s for _, s in real]
    f0 = np.median(np.concatenate([f0_track(c) for c in clips]))
    reader = Voice(READER, next(g for g, (low, high) in GENDER_F0.items() if low < f0 < high), 'a LibriVox reader', 0, 0, 100)
    report += describe(reader, clips)

    chapters = [(READER, '1', reader.gender[0].upper(), 'Unknown LibriVox reader (Sense and Sensibility, ch. 1)', real)]
    chapters += [(v.id, '1', v.gender[0].upper(), f'Synthetic voice (espeak-ng {v.espeak})', us) for v, us in by_voice.items()]
    lines = [
        '; The readers of this sample. One is real, of LibriVox; the others are synthetic voices.',
        ';',
        '; Not a part of LibriSpeech: only its layout. The IDs are made up, from 99001, and name nobody there',
        '; or in LibriVox. The reader of the real recordings is not named where they come from; the sex given',
        '; for that voice is inferred from the median F0 alone.',
        ';',
        ';ID  |SEX| SUBSET           |MINUTES| NAME',
    ]
    for speaker, chapter, sex, name, utterances in chapters:
        write_chapter(root, speaker, chapter, utterances, pool)
        minutes = sum(len(s) for _, s in utterances) / RATE / 60
        lines.append(f'{speaker:<4} | {sex} | {"train-clean-100":<16} | {minutes:<5.2f} | {name}')
    (root / 'SPEAKERS.TXT').write_text('\n'.join(lines) + '\n')
    return report, [len(s) / RATE for *_, us in chapters for _, s in us]


# --- what the voices are ---------------------------------------------------------------------------------


def f0_track(samples):
    """F0 of the voiced frames, Hz: the shortest lag whose normalised autocorrelation is nearly the best."""
    x = samples.astype(float)
    n, hop, low, high = int(0.035 * RATE), int(0.01 * RATE), RATE // 450, RATE // 60
    frames = np.lib.stride_tricks.sliding_window_view(x, n + high)[::hop]
    head = frames[:, :n]
    loud = np.sqrt(np.mean(head**2, axis=1))
    frames, head = frames[loud > 0.15 * loud.max()], head[loud > 0.15 * loud.max()]
    size = 2048
    cross = np.fft.irfft(np.conj(np.fft.rfft(head, size)) * np.fft.rfft(frames, size), size)[:, : high + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    energy = energy[:, n : n + high + 1] - energy[:, : high + 1]
    nac = cross / np.sqrt(energy * energy[:, :1] + 1e-9)
    found = []
    for row in nac:
        best = row[low:].max()
        if best < 0.6:
            continue
        inner = row[low : high]
        peak = (inner >= row[low - 1 : high - 1]) & (inner >= row[low + 1 : high + 1]) & (inner > 0.9 * best)
        if peak.any():
            found.append(RATE / (low + int(np.argmax(peak))))
    return np.array(found)


def mean_spectrum(clips):
    """Mean level in 24 bands up to 8 kHz, dB, its own mean taken off."""
    power = np.zeros(257)
    for c in clips:
        frames = np.lib.stride_tricks.sliding_window_view(c.astype(float), 512)[::160] * np.hanning(512)
        spectrum = np.mean(np.abs(np.fft.rfft(frames)) ** 2, axis=0)
        power += spectrum / spectrum.sum()
    edges = np.unique(np.geomspace(3, 257, 25).astype(int))
    bands = 10 * np.log10([power[a:b].mean() + 1e-12 for a, b in zip(edges, edges[1:])])
    return bands - bands.mean()


def describe(voice, clips):
    f0 = np.concatenate([f0_track(c) for c in clips])
    return [dict(voice=voice, f0=float(np.median(f0)), low=float(np.percentile(f0, 10)),
                 high=float(np.percentile(f0, 90)), spectrum=mean_spectrum(clips))]


def assert_genders(voices, clips):
    """Stops the run unless every voice's median F0 over its neutral clips fits its gender, and no two voices are alike."""
    report = [r for v in voices for r in describe(v, clips[v])]
    wrong = []
    for r in report:
        low, high = GENDER_F0[r['voice'].gender]
        if not low < r['f0'] < high:
            wrong.append(f'{r["voice"].id} ({r["voice"].espeak}) is meant to be {r["voice"].gender}, '
                         f'but its median F0 is {r["f0"]:.0f} Hz')
    assert_distinct(report, wrong)
    if wrong:
        raise SystemExit('\n'.join(wrong))
    return report


def distance(a, b):
    return float(np.sqrt(np.mean((a['spectrum'] - b['spectrum']) ** 2)) + abs(12 * np.log2(a['f0'] / b['f0'])))


def assert_distinct(report, wrong):
    for i, a in enumerate(report):
        others = [(distance(a, b), b['voice'].id) for b in report if b is not a]
        a['nearest'] = min(others)
        wrong += [f'{a["voice"].id} and {b["voice"].id} are the same voice'
                  for b in report[i + 1 :] if distance(a, b) < MIN_VOICE_DISTANCE]


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=here)
    parser.add_argument('--librivox', type=Path, default=Path('/usr/share/pocketsphinx/test/data/librivox'))
    args = parser.parse_args()
    for tool in ('espeak-ng', 'flac'):
        if not shutil.which(tool):
            raise SystemExit(f'{tool} is not installed')
    if not args.librivox.is_dir():
        raise SystemExit(f'{args.librivox}: not there; install pocketsphinx-testdata, or give --librivox')

    acted, mini = [args.out / acting.folder for acting in (ACTED, FAINT)], args.out / 'librispeech-mini'
    folders = [*acted, mini]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    (mini / 'LibriSpeech').mkdir()
    with ThreadPoolExecutor() as pool:
        results = [make_acted(acting, folder, pool) for acting, folder in zip((ACTED, FAINT), acted)]
        results.append(make_unlabelled(mini / 'LibriSpeech', args.librivox, pool))
    # All together: no voice may be one of another corpus.
    everyone = [r for report, _ in results for r in report]
    wrong = []
    assert_distinct(everyone, wrong)
    if wrong:
        raise SystemExit('\n'.join(wrong))

    print('| voice | gender | espeak-ng | formants | split | median F0, Hz (10-90 %) | nearest voice |')
    print('|---|---|---|---|---|---|---|')
    for r in everyone:
        v = r['voice']
        print(f'| {v.id} | {v.gender} | `{v.espeak}` | {v.formants - 100:+d} % | {v.split} '
              f'| {r["f0"]:.0f} ({r["low"]:.0f}-{r["high"]:.0f}) | {r["nearest"][1]} ({r["nearest"][0]:.1f}) |')
    for folder, (_, seconds) in zip(folders, results):
        size = sum(f.stat().st_size for f in folder.rglob('*') if f.is_file())
        print(f'{folder.name}: {len(seconds)} clips of {min(seconds):.2f} to {max(seconds):.2f} s '
              f'(median {np.median(seconds):.2f}), {sum(seconds) / 60:.1f} min, {size / 1e6:.2f} MB', file=sys.stderr)


if __name__ == '__main__':
    main()
