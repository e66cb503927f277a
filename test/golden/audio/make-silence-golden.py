"""
Makes silence-top-db.json, what librosa keeps of this folder's speech, in samples, and silence-silero.json, how sure the
Silero model is of speech in windows of 512.

    venv/bin/pip install librosa==0.11.0 soundfile==0.14.0 onnxruntime==1.32.0
    venv/bin/python make-silence-golden.py node_modules/@ricky0123/vad-web/dist/silero_vad_v6.onnx

For each case: librosa.effects.trim and split at each top_db, of the clip with silence put around and inside it. The model
is run as its authors' wrapper does: 64 samples of the window before, then 512, and its state handed on.
"""
import json
import pathlib
import sys

import librosa
import numpy as np
import onnxruntime
import soundfile

HERE = pathlib.Path(__file__).resolve().parent


def with_silence(name: str) -> tuple[np.ndarray, int]:
    speech, rate = soundfile.read(HERE / name, dtype="float32")
    half = len(speech) // 2
    gap = np.zeros(rate // 2, np.float32)
    return np.concatenate([gap, speech[:half], gap, speech[half:], gap]), rate


def silero(model: str, samples: np.ndarray) -> list[float]:
    session = onnxruntime.InferenceSession(model)
    state = np.zeros((2, 1, 128), np.float32)
    padded = np.concatenate([np.zeros(64, np.float32), samples, np.zeros(-len(samples) % 512, np.float32)])
    probabilities = []
    for start in range(0, len(padded) - 64, 512):
        window = padded[None, start : start + 576]
        output, state = session.run(None, {"input": window, "state": state, "sr": np.array(16_000, np.int64)})
        probabilities.append(round(float(output[0, 0]), 5))
    return probabilities


def main() -> None:
    cases = []
    for name in ("speech-16000.wav", "speech-44100.wav"):
        samples, rate = with_silence(name)
        for top_db in (20, 40, 60):
            trimmed = librosa.effects.trim(samples, top_db=top_db)[1].tolist()
            split = librosa.effects.split(samples, top_db=top_db).tolist()
            cases.append({"file": name, "top_db": top_db, "trim": trimmed, "split": split})
    probabilities = silero(sys.argv[1], with_silence("speech-whole-16000.wav")[0])
    (HERE / "silence-silero.json").write_text(json.dumps({"probabilities": probabilities}) + "\n")
    (HERE / "silence-top-db.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
