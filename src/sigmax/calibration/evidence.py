"""What labelled rows say of a model's probabilities: one pass over them, in parts that merge."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.cells import Cells
from sigmax.calibration.clustered import evidence_on_blocks
from sigmax.calibration.corp import Decomposition, ReliabilityLine, decomposed, reliability_line
from sigmax.calibration.error import CalibrationError, error_of
from sigmax.calibration.given import add_up, classes_of
from sigmax.calibration.hypothesis import CalibrationTest, p_value_of
from sigmax.calibration.reliability import confidence_of, wilson_interval
from sigmax.calibration.smooth import smooth_error
from sigmax.calibration.sums import Mean, RowMean
from sigmax.inputs import check_rows, class_numbers, host_array, labels_of, names_of_columns, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration.cells import Tally

__all__ = ["Evidence", "measure"]

MOST_CLASSES = 1000  # that are counted each by itself
COARSE = 12  # bits of the cells of many classes
LEAST = 1e-9  # weight: of less the sums would have few digits


class Evidence:
    """
    What labelled rows say of a model's probabilities.

    Counts rows batch by batch; parts that were counted elsewhere merge, in any order to the same bits (with weights, but for the last digits). Of two classes the probability of the second
    is looked at; of more that of the predicted class (the top label), and each class by itself.

    Parameters
    ----------
    classes : int or sequence, default 2
        How many classes there are, or what the labels call them, in the order of the probabilities.
    by_class : bool, default True
        Whether each of more than two classes is counted by itself too, which takes 100 kB a class. More than a thousand are not.

    Attributes
    ----------
    classes : list
        The names of the classes, or their numbers from 0.

    Examples
    --------
    >>> import numpy as np, sigmax
    >>> from sigmax.calibration import Evidence
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=20_000)
    >>> labels = rng.random(20_000) < sigmax.sigmoid(logits)
    >>> evidence = Evidence()
    >>> for part in np.array_split(np.arange(20_000), 7):
    ...     evidence.add(sigmax.sigmoid(2 * logits[part]), labels[part].astype(int))
    >>> print(evidence.error())
    0.1137 (95 %: 0.1076 to 0.1201)
    >>> evidence.test().is_rejected()
    True
    """

    def __init__(self, classes: int | Sequence[Any] = 2, *, by_class: bool = True) -> None:
        self.classes: list[Any] = list(range(classes)) if isinstance(classes, int | np.integer) else list(classes)
        k = len(self.classes)
        if k < 2:
            raise ValueError(f"{k} classes; there must be at least 2")
        if len(set(map(str, self.classes))) < k:
            raise ValueError(f"two classes have one name: {', '.join(map(str, self.classes[:10]))}")
        self._event = Cells()  # of two classes the second, else the top label
        self._each = Cells(k, COARSE) if by_class and 2 < k <= MOST_CLASSES else None
        self._loss, self._squares, self._right = RowMean(), RowMean(), RowMean()
        self._of_class = np.zeros(k)
        self._tests: dict[int, CalibrationTest] = {}  # of what was counted so far, by the number of bins

    def add(
        self,
        probabilities: ArrayLike,
        labels: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        losses: NDArray[np.float64] | None = None,
    ) -> None:
        """
        Count rows.

        Parameters
        ----------
        probabilities : array_like of shape (rows, classes) or (rows,)
            One probability a class; or, for two classes, that of the second.
        labels : array_like of shape (rows,)
            The true classes, by name or by number from 0.
        sample_weight : array_like of shape (rows,), optional
            What each row counts for.
        losses : ndarray of shape (rows,), optional
            Minus the log-probability of the label, where it is known to more digits than the probability tells.

        Raises
        ------
        ValueError
            If a probability is not in [0, 1], or the labels or weights do not fit.
        """
        check_rows(probabilities=probabilities, labels=labels)
        p = np.asarray(host_array(probabilities), np.float64)
        p = p[:, 0] if p.ndim == 2 and p.shape[1] == 1 else p
        k = len(self.classes)
        if p.ndim == 2 and p.shape[1] != k:
            raise ValueError(f"probabilities of {p.shape[1]} classes for the {k} classes of this evidence")
        if p.ndim == 1 and k != 2:
            raise ValueError(f"one probability a row for {k} classes; give one for each class")
        if not len(p):
            return
        confidence_of(p, None)  # which refuses what is no probability
        sums = p.sum(axis=1) if p.ndim == 2 else np.ones(1)
        if not (right := add_up(sums)).all():
            row = int(np.argmin(right))
            raise ValueError(f"the probabilities of row {row} add up to {sums[row]:.4g}, not to 1")
        y = class_numbers(labels_of(labels, len(p)), np.asarray(self.classes))
        w = None if sample_weight is None else weights_of(sample_weight, len(p))
        if w is not None and (odd := (w > 0) & ~((w >= LEAST) & (w <= 1 / LEAST))).any():
            raise ValueError(
                f"a sample weight is {w[odd][0]:g}; they are 0, or from {LEAST:g} to {1 / LEAST:g}: multiply all by the same number"
            )
        self.count(p, y, w, losses)

    def count(
        self,
        p: NDArray[np.float64],
        y: NDArray[np.int64],
        weights: NDArray[np.float64] | None = None,
        losses: NDArray[np.float64] | None = None,
    ) -> None:
        """Count rows as :meth:`add` does; labels are numbers from 0, whatever the classes are called."""
        self._tests.clear()
        k = len(self.classes)
        confidence, right = confidence_of(p, y)
        correct = np.asarray(right)
        both = p if p.ndim == 2 else np.stack([1 - p, p], axis=1)
        of_label = both[np.arange(len(y)), y]
        if losses is None:
            with np.errstate(divide="ignore"):  # an impossible label costs infinity
                losses = np.abs(np.log(of_label) if p.ndim == 2 else np.where(y == 1, np.log(p), np.log1p(-p)))
        self._loss.add(np.asarray(losses, np.float64), weights)
        squares = (both * both).sum(axis=1) - 2 * of_label + 1
        self._squares.add(np.maximum(squares / 2 if k == 2 else squares, 0), weights)
        self._right.add(correct.astype(np.float64), weights)
        self._of_class += np.bincount(y, weights, k)
        if k == 2:
            self._event.add(both[:, 1], y == 1, weights)
        else:
            self._event.add(confidence, correct, weights)
        if self._each is not None:
            self._each.add(p, y[:, None] == np.arange(k), weights)

    # ---- the figures ----

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self._right.rows

    @property
    def impossible(self) -> int:
        """How many rows are of a class that was given the probability 0."""
        return self._loss.infinite

    @property
    def log_loss(self) -> Mean:
        """The mean of minus the log-probability of the label, in nats."""
        return self._loss.mean

    @property
    def brier(self) -> Mean:
        """The mean squared distance of the probabilities from the label's 0 and 1, summed over classes; halved for two classes."""
        return self._squares.mean

    @property
    def accuracy(self) -> Mean:
        """How often the most probable class was the true one; the interval is Wilson's."""
        tally = self._event.tally()
        mean = self._right.mean.mean
        if not tally.rows.sum():
            return Mean(math.nan, 0.0, 1.0)
        n = float(tally.weight.sum()) ** 2 / float(tally.squares.sum())
        low, high = map(float, wilson_interval(round(mean * n, 6), n))
        return Mean(mean, low, high)

    @property
    def class_shares(self) -> NDArray[np.float64]:
        """The share of each class among the labels."""
        shares: NDArray[np.float64] = self._of_class / max(float(self._of_class.sum()), 1e-300)
        return shares

    @property
    def mean_probabilities(self) -> NDArray[np.float64] | None:
        """The mean probability of each class; None where more than two are not counted each by itself."""
        if len(self.classes) == 2:
            tally = self._event.tally()
            second = float((tally.p * tally.weight).sum() / max(tally.weight.sum(), 1e-300))
            return np.array([1 - second, second])
        if self._each is None:
            return None
        tallies = (self._each.tally(k) for k in range(len(self.classes)))
        return np.array([float((t.p * t.weight).sum() / max(t.weight.sum(), 1e-300)) for t in tallies])

    @property
    def mean_confidence(self) -> float:
        """The mean probability of the predicted class."""
        tally = self._event.tally()
        p = np.maximum(tally.p, 1 - tally.p) if len(self.classes) == 2 else tally.p
        return float((p * tally.weight).sum() / max(tally.weight.sum(), 1e-300))

    def tally(self, label: Any = None) -> Tally:
        """
        Return how often it happened, by how probable it was said to be.

        Parameters
        ----------
        label : optional
            A class, against all others. By default the second of two, and of more the predicted one.
        """
        if label is None:
            return self._event.tally()
        names = list(map(str, self.classes))
        if str(label) not in names:
            raise ValueError(f"{label!r} is none of the classes: {', '.join(names[:10])}")
        k = names.index(str(label))
        if len(names) == 2:
            return self._event.tally() if k else _mirrored(self._event.tally())
        if self._each is None:
            raise ValueError(
                f"no class was counted by itself: by_class=False, or more than {MOST_CLASSES} of them ({len(names)})"
            )
        return self._each.tally(k)

    def error(self, label: Any = None, *, bins: int = 15, level: float = 0.95) -> CalibrationError:
        """Return the calibration error with its interval (see :func:`calibration_error`), of `label` as in :meth:`tally`."""
        return error_of(self.tally(label), bins, level)

    def smooth_error(self, label: Any = None) -> float:
        """Return the smooth calibration error, which has no bins (Blasiok and Nakkiran, 2024), of `label` as in :meth:`tally`."""
        return smooth_error(self.tally(label))

    def line(self, label: Any = None) -> ReliabilityLine:
        """Return the isotonic reliability line (Dimitriadis, Gneiting and Jordan, 2021), of `label` as in :meth:`tally`."""
        return reliability_line(self.tally(label))

    def decomposition(self) -> dict[str, Decomposition]:
        """Return the parts of 'brier' and 'log_loss' of two classes: what is miscalibrated, told apart, and uncertain."""
        if len(self.classes) != 2:
            raise ValueError(f"a loss is taken apart for two classes; these are {len(self.classes)}")
        if not self.rows:
            raise ValueError("there are no rows to take a loss apart of")
        parts = decomposed(self.tally(), self.brier.mean, self.log_loss.mean)
        return dict(zip(("brier", "log_loss"), parts, strict=True))

    def test(self, *, bins: int = 15) -> CalibrationTest:
        """Test whether the labels were drawn with the given probabilities: see :func:`calibration_test`."""
        if bins not in self._tests:
            self._tests[bins] = CalibrationTest.of_parts(self._p_values(bins), self.rows)
        return self._tests[bins]

    def _p_values(self, bins: int) -> dict[str, float]:
        if not self.rows:
            return {}
        if len(self.classes) == 2:
            parts = {"": p_value_of(self.tally(), bins)}
        else:
            parts = {"top label": p_value_of(self.tally(), bins)}
            if self._each is not None:
                parts |= {str(c): p_value_of(self._each.tally(k), bins) for k, c in enumerate(self.classes)}
        return parts

    # ---- parts that merge ----

    state_names = frozenset(["classes", "event", "each", "loss", "squares", "right", "of_class"])

    def state(self) -> dict[str, Any]:
        """Return all that was counted, as JSON has it."""
        return {
            "classes": list(map(str, self.classes)),
            "event": self._event.state(),
            "each": None if self._each is None else self._each.state(),
            "loss": self._loss.state(),
            "squares": self._squares.state(),
            "right": self._right.state(),
            "of_class": self._of_class.tolist(),
        }

    def merge(self, other: Evidence | dict[str, Any]) -> None:
        """
        Add what was counted elsewhere.

        Parameters
        ----------
        other : Evidence or dict
            Evidence on the same classes, or its :meth:`state`.
        """
        state = other.state() if isinstance(other, Evidence) else other
        missing = sorted(self.state_names - set(state))
        if missing:
            raise ValueError(f"this is no state of Evidence: it has no {missing[0]!r}")
        if (self._each is None) != (state["each"] is None):
            raise ValueError("one counts each class by itself and the other does not: make both with the same by_class")
        if state["classes"] != list(map(str, self.classes)):
            raise ValueError(
                f"evidence on other classes ({', '.join(state['classes'][:5])}) than these ({', '.join(map(str, self.classes[:5]))})"
            )
        self._tests.clear()
        self._event.merge(state["event"])
        if self._each is not None:
            self._each.merge(state["each"])
        for name, mean in (("loss", self._loss), ("squares", self._squares), ("right", self._right)):
            mean.merge(state[name])
        self._of_class += state["of_class"]


def _mirrored(tally: Tally) -> Tally:
    """Return the same rows for the other of two classes."""
    return type(tally)(
        1 - tally.p[::-1],
        tally.rows[::-1],
        tally.weight[::-1],
        (tally.weight - tally.happened)[::-1],
        tally.squares[::-1],
        (tally.squares - tally.happened_squares)[::-1],
    )


def measure(
    probabilities: ArrayLike,
    labels: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    classes: Sequence[Any] | None = None,
) -> Evidence:
    """
    Measure what a model's probabilities are worth.

    Parameters
    ----------
    probabilities : array_like of shape (rows, classes) or (rows,)
        One probability a class; or, for two classes, that of the second. The blocks of a Dask array are counted where they are.
    labels : array_like of shape (rows,)
        The true classes, by name or by number from 0.
    sample_weight : array_like of shape (rows,), optional
        What each row counts for.
    classes : sequence, optional
        What the labels call the classes, in the order of the probabilities; default: the names of a table's columns where the labels are among
        them, else numbers from 0.

    Returns
    -------
    Evidence
        Log-loss, Brier score, calibration error, test, reliability line: each with its interval.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or the labels or weights do not fit.

    Examples
    --------
    >>> import sigmax
    >>> from sigmax.calibration import measure
    >>> found = measure(sigmax.softmax([[2.0, 1.0, 0.1], [0.3, 0.1, 4.0], [0.1, 3.0, 0.2]]), [0, 2, 1])
    >>> found.rows, round(found.log_loss.mean, 4)
    (3, 0.1902)
    """
    in_blocks = type(probabilities).__module__.startswith("dask.array")
    shape = np.shape(probabilities if in_blocks else host_array(probabilities))
    columns = 2 if len(shape) == 1 or shape[-1] == 1 else shape[-1]
    names = names_of_columns(probabilities)
    if classes is None and names is not None and len(names) == columns and len(shape) == 2:
        classes = classes_of(labels_of(labels, shape[0]), columns, names).tolist()
    make = functools.partial(Evidence, columns if classes is None else classes)
    if in_blocks:
        return evidence_on_blocks(make, probabilities, labels, sample_weight)
    evidence = make()
    evidence.add(probabilities, labels, sample_weight)
    return evidence
