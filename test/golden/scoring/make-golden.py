"""Writes scores.json: what scikit-learn makes of random and degenerate answers. Needs scikit-learn (made with 1.9.1) and numpy.

    python3 test/golden/scoring/make-golden.py

UA is balanced_accuracy_score: the mean recall over the classes that occur in the truth. It warns where an answer is of a
class that the truth never has; the number stands.
"""
import json
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

warnings.filterwarnings("ignore")
random = np.random.default_rng(7)


def case(name, classes, truth, prediction):
    truth, prediction = [int(t) for t in truth], [int(p) for p in prediction]
    labels = list(range(classes))
    recall = recall_score(truth, prediction, labels=labels, average=None, zero_division=np.nan)
    occurring = set(truth)
    return {
        "name": name,
        "classes": classes,
        "truth": truth,
        "prediction": prediction,
        "wa": float(accuracy_score(truth, prediction)),
        "ua": float(balanced_accuracy_score(truth, prediction)),
        "recall": [float(recall[label]) if label in occurring else None for label in labels],
        "confusion": confusion_matrix(truth, prediction, labels=labels).tolist(),
    }


cases = []
for classes in (2, 3, 4, 5, 11):
    for n in (1, 7, 97, 1000):
        # Skewed, so that WA and UA differ; some classes may not occur at all.
        skew = random.dirichlet(np.full(classes, 0.5))
        truth = random.choice(classes, n, p=skew)
        prediction = np.where(random.random(n) < 0.5, truth, random.integers(0, classes, n))
        cases.append(case(f"{n} random answers about {classes} classes", classes, truth, prediction))
cases += [
    case("a class absent from the truth and from the answers", 4, [0, 1, 3, 3, 1, 0], [0, 1, 3, 0, 3, 0]),
    case("a class absent from the truth, but answered", 4, [0, 1, 3, 3, 1, 0], [2, 1, 3, 2, 2, 0]),
    case("one class only, all right", 4, [2] * 9, [2] * 9),
    case("one class only, all wrong", 4, [2] * 9, [0, 1, 3] * 3),
    case("one class only, half right", 4, [1] * 8, [1, 1, 1, 1, 0, 2, 3, 0]),
    case("always the same answer", 4, [0, 0, 0, 1, 2, 3, 3], [3] * 7),
    case("all wrong", 3, [0, 1, 2, 0, 1, 2], [1, 2, 0, 2, 0, 1]),
    case("one utterance", 4, [3], [3]),
]
out = {"scikit-learn": sklearn.__version__, "cases": cases}
pathlib.Path(__file__).with_name("scores.json").write_text(json.dumps(out) + "\n")
print(f"{len(cases)} cases")
