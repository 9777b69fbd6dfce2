"""
Write a calibrator of each kind of map, and what it says of some scores: ``python tests/golden/make.py NAME ...``.

Files of the version that a release writes are never made anew: what was kept once is read for ever. A new kind gets a new file.
"""

import json
import sys
from pathlib import Path

import numpy as np

import sigmax
from sigmax.calibration import Calibrator

HERE = Path(__file__).parent


def drawn(classes):
    """Scores and labels of so many classes, 40 rows that come out the same everywhere."""
    grid = np.sin(np.arange(40 * classes) * 1.7).reshape(40, classes) * 3
    if classes == 2:
        return grid[:, 0], (np.cos(np.arange(40)) < grid[:, 0] / 3).astype(int)
    return grid, (grid + 2 * np.cos(np.arange(40 * classes)).reshape(40, classes)).argmax(axis=1)


def made(name):
    """Return a calibrator, as its file's name says: method, classes, and what the scores are."""
    method, classes, form = name.split("_")
    x, y = drawn(int(classes))
    if form == "probabilities":
        x = sigmax.sigmoid(x) if x.ndim == 1 else sigmax.softmax(x)
    names = ["ant", "bee", "cat", "dog"][: int(classes)]
    return Calibrator(method, scores=form, classes=names).fit(x, np.array(names)[y]), x


if __name__ == "__main__":
    for name in sys.argv[1:]:
        calibrator, x = made(name)
        calibrator.save(HERE / f"{name}.json")
        expected = {"scores": x[:8].tolist(), "probabilities": calibrator.predict_proba(x[:8]).tolist()}
        (HERE / f"{name}.expected").write_text(json.dumps(expected) + "\n")
