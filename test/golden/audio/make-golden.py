"""
Makes the reference arrays of this folder with librosa and soxr: what `extractFeatures` is held against.

    python -m venv venv && venv/bin/pip install librosa==0.11.0 soxr==1.1.0 numpy==2.4.6 soundfile==0.14.0
    venv/bin/python make-golden.py [speech.wav]

speech.wav is 16 kHz mono; by default a clip of Debian's package pocketsphinx-testdata (LibriVox, public domain).
For each case and rate (speech, noise and clipping at all six, the others at 16 and 44.1 kHz, "whole" ones of three seconds
at 16 kHz): NAME-RATE.wav (16-bit input) and NAME-RATE.npy, uint8 [128, frames]; of speech NAME-RATE-mel.npy too, its rows
librosa.filters.mel's: mean subtracted, soxr HQ to 22 kHz, librosa.stft, power of bins 1..512 averaged in fours, dB below the loudest row, floor -80, rounded half up.
Also the FLAC cases, written by libFLAC through soundfile, each beside a WAV with the same samples.
"""
import pathlib
import sys
import wave

import librosa
import numpy as np
import soundfile
import soxr

HERE = pathlib.Path(__file__).resolve().parent
SPEECH = "/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0880.wav"
RATE, WIN, HOP, FFT, ROWS = 22_000, 550, 220, 1024, 128


def pixels(samples: np.ndarray, rate: int, mel: bool = False) -> np.ndarray:
    samples = samples - samples.mean()
    at_rate = soxr.resample(samples, rate, RATE, quality="HQ")
    length = -(-len(samples) * RATE // rate)
    at_rate = np.pad(at_rate, (0, max(0, length - len(at_rate))))[:length]
    spectrum = librosa.stft(at_rate, n_fft=FFT, hop_length=HOP, win_length=WIN, window="hamming", center=True, pad_mode="reflect", dtype=np.complex128)
    if mel:
        power = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=ROWS, dtype=np.float64) @ np.abs(spectrum) ** 2
    else:
        power = (np.abs(spectrum[1:]) ** 2).reshape(ROWS, FFT // 2 // ROWS, -1).mean(axis=1)
    decibels = 10 * np.log10(np.maximum(power / power.max(), 1e-30))
    return np.ascontiguousarray(np.clip(np.floor(255 * (decibels + 80) / 80 + 0.5), 0, 255).astype(np.uint8))


def faded(samples: np.ndarray, rate: int) -> np.ndarray:
    """10 ms in and out: a clip cut in mid-voice rings at its ends near the Nyquist frequency, where two resamplers differ."""
    ramp = np.sin(np.linspace(0, np.pi / 2, rate // 100)) ** 2
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded


def write_case(name: str, samples: np.ndarray, rate: int) -> None:
    integers = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(HERE / f"{name}-{rate}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(integers.tobytes())
    np.save(HERE / f"{name}-{rate}.npy", pixels(integers / 32768.0, rate))
    if name == "speech":
        np.save(HERE / f"{name}-{rate}-mel.npy", pixels(integers / 32768.0, rate, mel=True))


def main() -> None:
    speech, rate = soundfile.read(sys.argv[1] if len(sys.argv) > 1 else SPEECH, dtype="float64")
    assert rate == 16_000
    utterance = speech.copy()
    write_case("speech-whole", utterance, rate)
    write_case("clipping-whole", np.clip(utterance * 8, -0.9, 0.9), rate)
    speech = speech[8_000 : 8_000 + 48_000]
    rng = np.random.default_rng(7)
    for rate in (16_000, 44_100):
        at_rate = speech if rate == 16_000 else soxr.resample(speech, 16_000, rate, quality="VHQ")
        second = faded(at_rate[rate // 2 : rate // 2 + rate], rate)
        seconds = np.arange(rate) / rate
        write_case("speech", faded(at_rate if rate == 16_000 else at_rate[: 2 * rate], rate), rate)
        write_case("noise", 0.2 * rng.standard_normal(rate), rate)
        write_case("sweep", faded(0.5 * np.sin(2 * np.pi * (100 * seconds + 0.5 * 6_400 * seconds**2)), rate), rate)
        write_case("offset", second + 0.02, rate)
        write_case("clipping", np.clip(second * 8, -0.9, 0.9), rate)

    short = speech[4_000:10_000]
    stereo = np.stack([short, 0.5 * rng.uniform(-1, 1, len(short))], axis=1)[:3_000]
    stereo[100], stereo[101] = -1, 1 - 2**-23  # both ends of the range
    for name, samples, subtype in (("mono-16", short, "PCM_16"), ("stereo-24", stereo, "PCM_24"), ("mono-8", short, "PCM_S8")):
        soundfile.write(HERE / f"{name}.flac", samples, 16_000, subtype=subtype)
        soundfile.write(HERE / f"{name}.wav", soundfile.read(HERE / f"{name}.flac", dtype="int32")[0], 16_000, subtype="PCM_24")

    for rate in (8_000, 22_050, 24_000, 48_000):
        at_rate = soxr.resample(speech, 16_000, rate, quality="VHQ")[rate // 2 : rate // 2 + rate]
        write_case("speech", faded(at_rate, rate), rate)
        write_case("noise", 0.2 * rng.standard_normal(rate), rate)
        write_case("clipping", np.clip(faded(at_rate, rate) * 8, -0.9, 0.9), rate)
    for rate in (16_000, 44_100):
        clicks = np.zeros(rate)
        clicks[rate // 8 :: rate // 8][:6] = (0.9, -0.5, 0.9, 0.3, -0.9, 0.7)
        write_case("clicks", clicks, rate)


if __name__ == "__main__":
    main()
