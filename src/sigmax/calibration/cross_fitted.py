"""A calibrator, and what calibrators that have not seen a row make of it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.calibrator import Calibrator
from sigmax.calibration.given import Form, fold_of, scores_of
from sigmax.inputs import labels_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["calibrate"]


def calibrate(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    method: str = "auto",
    form: Form = "auto",
    classes: Sequence[Any] | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    folds: int = 5,
) -> tuple[Calibrator, NDArray[Any]]:
    """
    Fit a calibrator, and calibrate each row by one that has not seen it.

    Parameters
    ----------
    scores, labels, sample_weight
        As for :meth:`Calibrator.fit`.
    method, form, classes
        As for :class:`Calibrator`; `form` is what the scores are.
    groups : array_like of shape (rows,), optional
        Rows of a group stay together: those of one patient, say.
    folds : int, default 5
        How many parts the rows are divided into, or the groups: at random, and each time the same.

    Returns
    -------
    calibrator : Calibrator
        Fitted to all rows.
    held_out : ndarray of shape (rows,) or (rows, classes)
        Calibrated scores of every row by a calibrator of the other parts: what is measured on them holds for new rows.

    Examples
    --------
    >>> import numpy as np, sigmax
    >>> from sigmax.calibration import calibrate
    >>> rng = np.random.default_rng(0)
    >>> logits = 3 * rng.normal(size=2000)
    >>> labels = (rng.random(2000) < sigmax.sigmoid(logits / 3)).astype(int)
    >>> calibrator, held_out = calibrate(logits, labels)
    >>> before, after = (float(sigmax.binary_cross_entropy(z, labels).mean()) for z in (logits, held_out))
    >>> round(before, 2), round(after, 2)
    (0.77, 0.6)
    """
    calibrator = Calibrator(method, scores=form, classes=classes)
    x, w = scores_of(scores), sample_weight
    calibrator.fit(scores, labels, w)
    y, weights = labels_of(labels, len(x)), weights_of(w, len(x))
    part = np.arange(len(x)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    if len(part) != len(x):
        raise ValueError(f"{len(part)} groups for {len(x)} rows")
    if not isinstance(folds, int | np.integer):
        raise TypeError(f"{folds!r} folds; give a whole number")
    fold = fold_of(int(part.max()) + 1, max(folds, 1))[part]
    if folds < 2 or not (0 < (weights[fold == 0] > 0).sum() < (weights > 0).sum()):
        raise ValueError(f"{folds} folds of {len(x)} rows: give at least 2 folds, and rows or groups for each of them")
    held_out = calibrator.decision_function(scores).astype(np.float64)
    for k in range(folds):
        out = fold == k
        if not out.any() or not (weights[~out] > 0).any():
            continue
        one = Calibrator(method, scores=calibrator.form_, classes=list(calibrator.classes_))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held_out[out] = one.fit(x[~out], y[~out], weights[~out]).decision_function(x[out])
    return calibrator, held_out
