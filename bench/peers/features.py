"""
Peers of the feature extraction for `npm run bench -- features`. They turn FLAC files into the same tiles as `extractFeatures`.

    python features.py librosa|torchaudio FILE...

Reads one command per line from stdin. `run` processes all files once and prints {"decode", "resample", "tiles", "all"} in
seconds. `save PATH` writes the tiles of the last run as npy. `versions` prints the versions of the libraries.
"""
import json
import sys
import time

import numpy as np
import soundfile

RATE, WIN, HOP, FFT, ROWS, WIDTH = 22_000, 550, 220, 1024, 128, 256
KEPT_ROWS = 93  # below the band limit of 8 kHz


def to_tiles(power: np.ndarray) -> np.ndarray:
    """[rows, frames] of power -> uint8 [tiles, rows, width]"""
    decibels = 10 * np.log10(np.maximum(power[:KEPT_ROWS] / power[:KEPT_ROWS].max(), np.float32(1e-30)))
    pixels = np.zeros((ROWS, power.shape[1]), np.uint8)
    pixels[:KEPT_ROWS] = np.clip(decibels * np.float32(255 / 80) + np.float32(255.5), 0, 255).astype(np.uint8)
    frames = pixels.shape[1]
    count = max(1, frames // WIDTH + (frames % WIDTH >= WIDTH // 4))
    padded = np.zeros((ROWS, count * WIDTH), np.uint8)
    taken = min(frames, count * WIDTH)
    padded[:, :taken] = pixels[:, :taken]
    return np.ascontiguousarray(padded.reshape(ROWS, count, WIDTH).swapaxes(0, 1))


class Librosa:
    def __init__(self):
        import librosa
        import soxr

        self.librosa, self.soxr = librosa, soxr

    def versions(self):
        return f"librosa {self.librosa.__version__}, soxr {self.soxr.__version__}, numpy {np.__version__}, libsndfile {soundfile.__libsndfile_version__}"

    def resample(self, samples, rate):
        return self.soxr.resample(samples, rate, RATE, quality="HQ")

    def tiles(self, samples):
        spectrum = self.librosa.stft(samples, n_fft=FFT, hop_length=HOP, win_length=WIN, window="hamming", center=True, pad_mode="reflect")
        parts = spectrum.T.view(np.float32)  # librosa's arrays lie in memory as [frames, bins]; [frames, 2 * bins]
        parts *= parts  # in place and as they lie: half the time of real**2 + imag**2
        groups = parts[:, 2:].reshape(len(parts), ROWS, -1)
        return to_tiles(groups.sum(axis=2).T)


class Torchaudio:
    def __init__(self):
        import torch
        import torchaudio

        torch.set_num_threads(1)
        self.torch, self.torchaudio = torch, torchaudio
        self.window = torch.hamming_window(WIN)
        self.resamplers = {}

    def versions(self):
        return f"torchaudio {self.torchaudio.__version__}, torch {self.torch.__version__}, libsndfile {soundfile.__libsndfile_version__}"

    def resample(self, samples, rate):
        if rate not in self.resamplers:
            self.resamplers[rate] = self.torchaudio.transforms.Resample(rate, RATE)
        return self.resamplers[rate](self.torch.from_numpy(samples))

    def tiles(self, samples):
        torch = self.torch
        spectrum = torch.stft(samples, FFT, HOP, WIN, self.window, center=True, pad_mode="reflect", return_complex=True)[1:]
        parts = torch.view_as_real(spectrum)
        power = parts.square().sum(-1).reshape(ROWS, FFT // 2 // ROWS, -1).sum(1)
        kept = power[:KEPT_ROWS]
        decibels = 10 * torch.log10(torch.clamp(kept / kept.max(), min=1e-30))
        pixels = torch.zeros(power.shape, dtype=torch.uint8)
        pixels[:KEPT_ROWS] = torch.clamp(decibels * (255 / 80) + 255.5, 0, 255).to(torch.uint8)
        frames = pixels.shape[1]
        count = max(1, frames // WIDTH + (frames % WIDTH >= WIDTH // 4))
        padded = torch.zeros((ROWS, count * WIDTH), dtype=torch.uint8)
        taken = min(frames, count * WIDTH)
        padded[:, :taken] = pixels[:, :taken]
        return padded.reshape(ROWS, count, WIDTH).transpose(0, 1).contiguous().numpy()


def main() -> None:
    peer = {"librosa": Librosa, "torchaudio": Torchaudio}[sys.argv[1]]()
    files = sys.argv[2:]
    last = []
    for line in sys.stdin:
        command = line.split(maxsplit=1)
        if command[0] == "versions":
            print(json.dumps(peer.versions()), flush=True)
        elif command[0] == "save":
            np.save(command[1].strip(), np.concatenate(last))
            print("null", flush=True)
        else:
            seconds, last = {"decode": 0.0, "resample": 0.0, "tiles": 0.0, "all": 0.0}, []
            for file in files:
                begun = time.perf_counter()
                samples, rate = soundfile.read(file, dtype="float32")
                decoded = time.perf_counter()
                samples -= samples.mean()
                resampled = peer.resample(samples, rate)
                at_rate = time.perf_counter()
                last.append(peer.tiles(resampled))
                done = time.perf_counter()
                seconds["decode"] += decoded - begun
                seconds["resample"] += at_rate - decoded
                seconds["tiles"] += done - at_rate
                seconds["all"] += done - begun
            print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
