"""What calibration gains: the scores before, and after by fits that have not seen the row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sigmax.calibration.calibrator import Calibrator
from sigmax.calibration.cross_fitted import calibrate
from sigmax.calibration.error import CalibrationError, calibration_error
from sigmax.calibration.fits import losses_of
from sigmax.calibration.given import as_logits, bounded, scores_of
from sigmax.links import sigmoid
from sigmax.rows import softmax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration.given import Form

__all__ = ["Judged", "judge"]


@dataclass(frozen=True)
class Judged:
    """
    A calibrator, and what it gains.

    Attributes
    ----------
    calibrator : Calibrator
        Fitted to all rows.
    loss : (ndarray, ndarray)
        The log-loss of each row before and after, in nats.
    right : (ndarray, ndarray)
        Whether the most probable class was the true one.
    error : (CalibrationError, CalibrationError)
        Of the most probable class's probability.
    scores : (ndarray, ndarray)
        The scores before, and after by a fit that has not seen the row.
    """

    calibrator: Calibrator
    loss: tuple[NDArray[np.float64], NDArray[np.float64]] = field(repr=False)
    right: tuple[NDArray[np.bool_], NDArray[np.bool_]] = field(repr=False)
    error: tuple[CalibrationError, CalibrationError]
    scores: tuple[NDArray[np.float64], NDArray[np.float64]] = field(repr=False)

    @property
    def gain(self) -> tuple[float, float, float]:
        """By how much the mean log-loss falls, and the 95 % interval of that over rows."""
        fall = self.loss[0] - self.loss[1]
        half = 1.96 * float(fall.std(ddof=1)) / math.sqrt(fall.size) if fall.size > 1 else math.inf
        return float(fall.mean()), float(fall.mean()) - half, float(fall.mean()) + half

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Return what is shown: a name, before and after."""
        before, after = (f"{float(loss.mean()):.4f} nats" for loss in self.loss)
        yield "log-loss", before, after
        yield "calibration error", str(self.error[0]), str(self.error[1])
        before, after = (f"{float(right.mean()):.4f}" for right in self.right)
        yield "accuracy", before, after

    def change(self) -> str:
        """Return the change of the log-loss with its interval, in words."""
        gain, low, high = self.gain
        told = f"{-gain:+.4f} nats (95 %: {-high:+.4f} to {-low:+.4f})"
        return told.replace("-", "\u2212")

    def sentence(self) -> str:
        """Return the verdict."""
        gain, low, high = self.gain
        method = self.calibrator.method_
        if high < 0:
            return f"Calibration by {method} does harm on new rows: leave the scores as they are, or take more rows."
        if not self.error[0].is_found and low <= 0:
            return f"No fault was found in the scores as they are; {method} changes little."
        if low > 0:
            return f"Calibrated by {method} the scores lose {100 * gain / max(float(self.loss[0].mean()), 1e-300):.1f} % of their log-loss on new rows."
        return f"These rows cannot tell whether {method} gains or loses on new ones."


def judge(
    scores: ArrayLike,
    labels: NDArray[np.int64],
    *,
    method: str = "auto",
    form: Form = "auto",
    classes: Sequence[str] = (),
    columns: Sequence[str] | None = None,
) -> Judged:
    """
    Fit a calibrator and judge it by rows that each fit has not seen.

    Parameters
    ----------
    scores : array_like of shape (rows, classes) or (rows,)
    labels : ndarray of int of shape (rows,)
        Class numbers.
    method, form
        As for :class:`Calibrator`.
    classes, columns : sequence of str
        The classes' names, and those of the scores.
    """
    names = np.asarray(classes, dtype=object)
    calibrator, held_out = calibrate(scores, names[labels], method=method, form=form, classes=list(classes))
    if columns is not None:
        calibrator.feature_names_in_ = np.asarray(columns, dtype=object)
    before = bounded(as_logits(scores_of(scores), calibrator.form_), calibrator.limit_)
    first, second = (_side(calibrator, z, labels) for z in (before, held_out))
    return Judged(calibrator, (first[0], second[0]), (first[1], second[1]), (first[2], second[2]), (before, held_out))


def _side(
    calibrator: Calibrator, z: NDArray[np.float64], y: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], CalibrationError]:
    p = np.asarray(sigmoid(np.abs(z)) if z.ndim == 1 else np.asarray(softmax(z)).max(axis=1))
    right = calibrator.most_probable(z) == y
    return losses_of(z, y), right, calibration_error(p, right)
