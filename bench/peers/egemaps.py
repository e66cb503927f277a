"""
openSMILE's eGeMAPS functionals with an RBF SVM and with logistic regression, on the folds of an experiment: the bar that a
network on speech has to clear.

    python bench/peers/egemaps.py EXPERIMENT_FOLDER CORPUS_FOLDER

EXPERIMENT_FOLDER is what `undertone experiment --out` wrote: its row `functionals` names the test utterances of each fold.
CORPUS_FOLDER holds the recordings. Each fold trains on its training speakers alone; the penalty is chosen on its dev speakers.
Prints the UA of each fold, and of all test utterances together with a 95 % interval by bootstrap over speakers.
"""
import json
import sys
from pathlib import Path

import numpy as np
import opensmile
import pyarrow as pa
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

PENALTIES = (0.1, 1.0, 10.0)
RESAMPLES = 2000


def folds_of(experiment: Path) -> list[dict[str, tuple[str, int]]]:
    """For each fold, its test utterances with speaker and class."""
    found = {}
    for result in experiment.glob("jobs/*/result.json"):
        job = json.loads(result.read_text())["job"]
        if job["rowId"] != "functionals":
            continue
        table = pa.ipc.open_file(result.parent / "emotion.arrow").read_all().to_pydict()
        found[job["fold"]] = {
            utterance: (speaker, int(truth))
            for utterance, speaker, truth in zip(table["utterance_id"], table["speaker"], table["truth"])
        }
    return [found[fold] for fold in sorted(found)]


def ua_of(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean([np.mean(predicted[truth == each] == each) for each in np.unique(truth)]))


def interval(truth: np.ndarray, predicted: np.ndarray, speakers: np.ndarray) -> tuple[float, float]:
    random = np.random.default_rng(1)
    of_speaker = [np.flatnonzero(speakers == each) for each in np.unique(speakers)]
    scores = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([of_speaker[i] for i in random.integers(0, len(of_speaker), len(of_speaker))])
        scores.append(ua_of(truth[rows], predicted[rows]))
    return tuple(np.percentile(scores, [2.5, 97.5]))


def main() -> None:
    experiment, corpus = Path(sys.argv[1]), Path(sys.argv[2])
    folds = folds_of(experiment)
    if len(folds) < 3:
        sys.exit(f"{experiment} has the row functionals for {len(folds)} folds. Run the experiment to its end first.")
    smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals)
    # An utterance's id is the name of its corpus and the path in it, perhaps without the ending.
    paths = {path.relative_to(corpus).with_suffix("").as_posix(): path for path in corpus.rglob("*") if path.suffix in (".wav", ".flac")}
    features = {}
    for utterance in (utterance for fold in folds for utterance in fold):
        inside = utterance.split("/", 1)[1]
        path = paths.get(inside) or paths.get(Path(inside).with_suffix("").as_posix())
        if path is None:
            sys.exit(f"{corpus} has no recording of {utterance}")
        features[utterance] = smile.process_file(str(path)).to_numpy()[0]
    models = {
        "eGeMAPS + SVM": lambda penalty: SVC(C=penalty, class_weight="balanced"),
        "eGeMAPS + logistic regression": lambda penalty: LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000),
    }

    def rows(which: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = [(features[utterance], *labels) for fold in which for utterance, labels in folds[fold].items()]
        return np.array([x for x, _, _ in own]), np.array([y for _, _, y in own]), np.array([s for _, s, _ in own])

    for name, make in models.items():
        all_truth, all_predicted, all_speakers, by_fold = [], [], [], []
        for test in range(len(folds)):
            dev = (test + 1) % len(folds)
            x, y, _ = rows([fold for fold in range(len(folds)) if fold not in (test, dev)])
            x_dev, y_dev, _ = rows([dev])
            fitted = [make_pipeline(StandardScaler(), make(penalty)).fit(x, y) for penalty in PENALTIES]
            best = max(fitted, key=lambda model: ua_of(y_dev, model.predict(x_dev)))
            x_test, y_test, speakers = rows([test])
            predicted = best.predict(x_test)
            by_fold.append(100 * ua_of(y_test, predicted))
            all_truth.append(y_test), all_predicted.append(predicted), all_speakers.append(speakers)
        truth, predicted, speakers = (np.concatenate(each) for each in (all_truth, all_predicted, all_speakers))
        low, high = interval(truth, predicted, speakers)
        print(
            f"{name}: mean of folds {np.mean(by_fold):.1f} ({', '.join(f'{ua:.1f}' for ua in by_fold)}); "
            f"all test utterances {100 * ua_of(truth, predicted):.1f}, 95 % {100 * low:.1f} to {100 * high:.1f}"
        )


if __name__ == "__main__":
    main()
