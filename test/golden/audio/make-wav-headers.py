"""Decides what a WAV header with contradicting fields means, by three decoders, and writes wav-headers.json.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy soundfile==0.14.0
    /tmp/venv/bin/python test/golden/audio/make-wav-headers.py
    npx biome format --write test/golden/audio/wav-headers.json

It needs libsndfile (in `soundfile`), ffmpeg and sox; the table says which versions it was made with. All headers lie in
front of the same body. A row is [tag, channels, byteRate, blockAlign, bits, validBits, answer]; a tag of 0x10001 is
WAVE_FORMAT_EXTENSIBLE with sub-format 1, and validBits is -1 in a plain header. The answer is [samples per channel,
weighted sum of the mean of the channels] where at least two decoders give the same sound and none gives another, and
null where they differ or refuse. A header without any contradiction needs no vote: there the answer is libsndfile's
(ffmpeg 5.1 takes 24 valid bits in 32 for floats). `libs/audio/src/wav-headers.spec.ts` builds the same files and compares.
"""
import json
import pathlib
import random
import struct
import subprocess
import tempfile

import numpy as np
import soundfile

RATE = 16000
BODY_BYTES = 960
EXTENSIBLE = 0x10000
HERE = pathlib.Path(__file__).parent


def body(tag: int, bits: int) -> bytes:
    if tag & 0xFFFF == 3:
        dtype = "<f8" if bits == 64 else "<f4"
        count = BODY_BYTES // np.dtype(dtype).itemsize
        return (((np.arange(count) * 37) % 101) / 256 - 0.2).astype(dtype).tobytes()
    return bytes((i * i * 31 + i * 7) & 255 for i in range(BODY_BYTES))


def wav(tag: int, channels: int, byte_rate: int, block_align: int, bits: int, valid: int) -> bytes:
    plain = 0xFFFE if tag & EXTENSIBLE else tag
    fmt = struct.pack("<HHIIHH", plain, channels, RATE, byte_rate, block_align, bits)
    if tag & EXTENSIBLE:
        fmt += struct.pack("<HHIH", 22, valid, 0, tag & 0xFFFF) + bytes.fromhex("000000001000800000aa00389b71")
    data = body(tag, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def floats(raw: bytes, channels: int):
    samples = np.frombuffer(raw[: len(raw) // (4 * channels) * 4 * channels], "<f4").reshape(-1, channels)
    return samples.astype(np.float64).mean(axis=1) if len(samples) else None


def by_sndfile(path: str, channels: int):
    try:
        samples, rate = soundfile.read(path, always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError):
        return None
    return samples.mean(axis=1) if len(samples) and rate == RATE else None


def by_ffmpeg(path: str, channels: int):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    return floats(done.stdout, channels) if done.returncode == 0 else None


def by_sox(path: str, channels: int):
    done = subprocess.run(["sox", "-D", path, "-t", "f32", "-"], capture_output=True, check=False)
    return floats(done.stdout, channels) if done.returncode == 0 else None


def weighted(samples: np.ndarray) -> float:
    return float((samples * (np.arange(len(samples)) % 7 + 1)).sum())


def has_no_contradiction(tag: int, channels: int, byte_rate: int, block_align: int, bits: int, valid: int) -> bool:
    return tag & 0xFFFF == 1 and bits % 8 == 0 and block_align == bits // 8 * channels and valid <= bits


def answer(header: tuple, decoded: list):
    voters, votes = (decoded[:1], 1) if has_no_contradiction(*header) else (decoded, 2)
    heard = [samples for samples in voters if samples is not None]
    if len(heard) < votes:
        return None
    first = heard[0]
    same = all(len(other) == len(first) and np.abs(other - first).max() < 1e-4 for other in heard)
    return [len(first), round(weighted(first), 4)] if same else None


def headers():
    chance = random.Random(15)
    for tag in (1, 3, EXTENSIBLE | 1, EXTENSIBLE | 3):
        for channels in (1, 2):
            for bits in (0, 4, 8, 12, 16, 20, 24, 32, 64):
                right = (bits + 7) // 8 * channels
                for block_align in sorted({0, 1, 2, 3, 4, 6, 8, 16, right}):
                    byte_rate = chance.choice([RATE * right, RATE * right, 0, RATE, 123456])
                    valid = chance.choice([bits, bits, max(0, bits - 4), max(0, bits - 8), 0, bits + 8]) if tag & EXTENSIBLE else -1
                    yield tag, channels, byte_rate, block_align, bits, valid


def first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.wav"
        for header in headers():
            pathlib.Path(path).write_bytes(wav(*header))
            decoded = [decode(path, header[1]) for decode in (by_sndfile, by_ffmpeg, by_sox)]
            rows.append([*header, answer(header, decoded)])
    made = [f"libsndfile {soundfile.__libsndfile_version__}", *(" ".join(first_line(*c).split()[:3]) for c in (("ffmpeg", "-version"), ("sox", "--version")))]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (HERE / "wav-headers.json").write_text(f'{{"madeWith":{json.dumps(made)},"rows":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
