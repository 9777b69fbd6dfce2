"""Sets of classes that hold the true one as often as is promised, whatever the probabilities are worth (split conformal prediction)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sigmax import kept
from sigmax.calibration.given import form_of, scores_of
from sigmax.decisions.given import log_odds_of, log_probabilities_of
from sigmax.estimator import Estimator, not_fitted
from sigmax.inputs import check_rows, class_numbers, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration.given import Form

__all__ = ["PredictionSets"]

FORMAT, VERSION = "sigmax prediction set", 1


class PredictionSets(Estimator):
    """
    Sets of classes that hold the true one with a promised frequency, for new rows that are drawn as those of the fit.

    Parameters
    ----------
    coverage : float, default 0.9
        How often the set holds the true class, at least.
    method : {'lac', 'aps'}, default 'lac'
        'lac' takes all classes above one probability: the smallest sets. 'aps' takes the most probable classes until their sum is enough, with a last
        one that is drawn: larger sets, which suit rows that are hard and rows that are easy better.
    by_class : bool, default False
        Whether the promise holds for the rows of each class by itself.
    form : {'auto', 'logits', 'log-probabilities', 'probabilities'}
        What the scores are; 'auto' tells by their values.
    classes : sequence, optional
        What the labels call the classes, in the order of the scores; default: numbers from 0.
    random_state : int, default 0
        For 'aps', whose draw hangs on this and on the row's scores alone.

    Attributes
    ----------
    form_ : str
        What the scores were taken for.
    threshold_ : ndarray of shape (classes,)
        The largest nonconformity that is let in, for each class; infinite where there are too few rows for the promise, and all sets are whole.
    rows_ : ndarray of int of shape (classes,)
        The rows that each threshold rests on.
    notes_ : list of str
        What there is to say.

    Notes
    -----
    The threshold is the ceil((n + 1) coverage)-th smallest nonconformity of n rows (Vovk; Sadinle, Lei and Wasserman 2019; Romano, Sesia and Candès
    2020). The promise is one on average over rows and fits, not for rows of a kind.

    Examples
    --------
    >>> import numpy as np, sigmax
    >>> from sigmax.decisions import PredictionSets
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(4000, 5)) * 2
    >>> labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    >>> sets = PredictionSets(0.9).fit(logits[:2000], labels[:2000])
    >>> inside = sets.predict(logits[2000:])
    >>> bool(abs(inside[np.arange(2000), labels[2000:]].mean() - 0.9) < 0.02)
    True
    """

    def __init__(
        self,
        coverage: float = 0.9,
        *,
        method: Literal["lac", "aps"] = "lac",
        by_class: bool = False,
        form: Form = "auto",
        classes: Sequence[Any] | None = None,
        random_state: int = 0,
    ) -> None:
        self.coverage = coverage
        self.method = method
        self.by_class = by_class
        self.form = form
        self.classes = classes
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> PredictionSets:  # noqa: N803
        """
        Fit the thresholds to rows that neither the model nor a calibrator was fitted to.

        Parameters
        ----------
        X : array_like of shape (rows, classes), or (rows,) for two classes
            Scores or probabilities.
        y : array_like of shape (rows,)
            The true classes.

        Returns
        -------
        PredictionSets
            Itself.
        """
        if isinstance(self.coverage, str) or not 0 < self.coverage < 1:
            raise ValueError(f"coverage={self.coverage!r}; it must be between 0 and 1")
        if self.method not in ("lac", "aps"):
            raise ValueError(f"method={self.method!r}; it must be 'lac' or 'aps'")
        check_rows(scores=X, labels=y)
        self.form_ = form_of(scores_of(X), self.form)
        logs = log_probabilities_of(log_odds_of(X, self.form_))
        count = logs.shape[1]
        raw = labels_of(y, len(logs))
        self.classes_ = np.arange(count) if self.classes is None else np.asarray(self.classes)
        if len(self.classes_) != count:
            raise ValueError(f"{len(self.classes_)} classes are named and the scores are of {count}")
        numbers = class_numbers(raw, self.classes_)
        own = self._nonconformity(logs)[np.arange(len(logs)), numbers]
        self.scores_ = [np.sort(own[numbers == k] if self.by_class else own) for k in range(count)]
        self.rows_ = np.array([len(s) for s in self.scores_])
        self.threshold_ = np.array([_quantile(s, self.coverage) for s in self.scores_])
        self.notes_ = self._notes()
        return self

    def _nonconformity(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how odd each class of each row would be."""
        if self.method == "lac":
            return -logs
        p = np.exp(logs)
        order = np.argsort(-p, axis=1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=1)
        above = np.cumsum(ranked, axis=1) - ranked
        found = np.empty_like(p)
        np.put_along_axis(found, order, above + _drawn(logs, self.random_state)[:, None] * ranked, axis=1)
        return found

    def _odd(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        if not hasattr(self, "threshold_"):
            raise not_fitted(self)
        logs = log_probabilities_of(log_odds_of(X, self.form_))
        if logs.shape[1] != len(self.classes_):
            raise ValueError(f"scores of {logs.shape[1]} classes, and the fit was to {len(self.classes_)}")
        return self._nonconformity(logs)

    def predict(self, X: ArrayLike) -> NDArray[np.bool_]:  # noqa: N803
        """
        Return which classes are in each row's set.

        Parameters
        ----------
        X : array_like of shape (rows, classes), or (rows,)

        Returns
        -------
        ndarray of bool of shape (rows, classes)
        """
        return np.asarray(self._odd(X) <= self.threshold_)

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """
        Return for each class how many of the rows of the fit, and this one, are as odd as it would be: it is in the set above 1 - coverage.

        Parameters
        ----------
        X : array_like of shape (rows, classes), or (rows,)

        Returns
        -------
        ndarray of shape (rows, classes)
        """
        odd = self._odd(X)
        if not hasattr(self, "scores_"):
            raise ValueError(
                "these sets were read from a file, which keeps their thresholds alone; fit them anew for p-values"
            )
        return np.column_stack(
            [
                (len(s) - np.searchsorted(s, odd[:, k], side="left") + 1) / (len(s) + 1)
                for k, s in enumerate(self.scores_)
            ]
        )

    # ---- kept ----

    def to_json(self) -> str:
        """Return the fitted sets as text, which :meth:`from_json` reads back: all that :meth:`predict` needs, not the rows behind the p-values."""
        if not hasattr(self, "threshold_"):
            raise not_fitted(self)
        return kept.written(
            FORMAT,
            VERSION,
            {
                "coverage": self.coverage,
                "method": self.method,
                "by_class": bool(self.by_class),
                "random_state": int(self.random_state),
                "form": self.form_,
                "classes": [str(c) for c in self.classes_.tolist()],
                "threshold": [float(t) if math.isfinite(t) else None for t in self.threshold_],
                "rows": self.rows_.tolist(),
            },
        )

    @classmethod
    def from_json(cls, text: str) -> PredictionSets:
        """
        Return the sets that a text describes. Nothing of the text is run.

        Raises
        ------
        ValueError
            If the text describes no sets, or holds what it should not.
        """
        state = kept.read(text, FORMAT, VERSION, STATE)
        classes = state["classes"]
        if not len(classes) == len(state["threshold"]) == len(state["rows"]) >= 2:
            raise ValueError("the sets have classes, thresholds and rows of different numbers")
        options = {name: state[name] for name in ("coverage", "method", "by_class", "form", "random_state")}
        made = cls(**options, classes=classes)
        made.form_, made.classes_ = state["form"], np.asarray(classes)
        made.threshold_, made.rows_ = np.array(state["threshold"]), np.array(state["rows"])
        made.notes_ = made._notes()
        return made

    def _notes(self) -> list[str]:
        short = np.flatnonzero(np.isinf(self.threshold_))
        if not short.size:
            return []
        least = math.ceil(self.coverage / (1 - self.coverage) - 1e-9)
        of = "" if not self.by_class else f" of {', '.join(map(str, self.classes_[short][:5]))}"
        return [
            f"{int(self.rows_[short].min())} rows{of} are too few for {100 * self.coverage:g} %, which takes {least}: "
            + ("these classes are in every set" if self.by_class else "every set holds all classes")
        ]


def _share(value: Any) -> float:
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(f"{value!r} is not between 0 and 1")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no number of rows")
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value) or len(set(value)) < len(value):
        raise ValueError("it is no list of different names")
    return value


def _threshold(value: Any) -> float:
    return math.inf if value is None else kept.number(value)


STATE: dict[str, Callable[[Any], Any]] = {
    "coverage": _share,
    "method": kept.one_of("lac", "aps"),
    "by_class": kept.truth,
    "random_state": _count,
    "form": kept.one_of("logits", "log-probabilities", "probabilities"),
    "classes": _names,
    "threshold": lambda value: [_threshold(v) for v in value],
    "rows": lambda value: [_count(v) for v in value],
}


def _drawn(logs: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return a number from 0 to 1 for each row, which its scores and the seed decide: the same wherever the row stands."""
    mixed = np.full(len(logs), (seed + 1) * 0x9E3779B97F4A7C15 % 2**64, np.uint64)
    with np.errstate(over="ignore"):
        for column in np.ascontiguousarray(logs.T).view(np.uint64):
            mixed = (mixed ^ column) * np.uint64(0xBF58476D1CE4E5B9)  # splitmix64
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """Return the ceil((n + 1) coverage)-th smallest of n; infinity where there are not as many."""
    place = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return float(scores[place - 1]) if place <= len(scores) else math.inf
