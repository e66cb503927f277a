"""
Makes silence-top-db.json: what librosa keeps of this folder's speech, in samples.

    venv/bin/pip install librosa==0.11.0 soundfile==0.14.0 && venv/bin/python make-silence-golden.py

For each case: librosa.effects.trim and split at each top_db, of the clip with silence and noise put around and inside it.
"""
import json
import pathlib

import librosa
import numpy as np
import soundfile

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    cases = []
    for name in ("speech-16000.wav", "speech-44100.wav"):
        speech, rate = soundfile.read(HERE / name, dtype="float32")
        half = len(speech) // 2
        gap = np.zeros(rate // 2, np.float32)
        samples = np.concatenate([gap, speech[:half], gap, speech[half:], gap])
        for top_db in (20, 40, 60):
            trimmed = librosa.effects.trim(samples, top_db=top_db)[1].tolist()
            split = librosa.effects.split(samples, top_db=top_db).tolist()
            cases.append({"file": name, "top_db": top_db, "trim": trimmed, "split": split})
    (HERE / "silence-top-db.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
