"""The calibrator: from scores and what came of them to probabilities that hold."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.fits import METHODS, fit_map, log_loss
from sigmax.calibration.given import (
    Form,
    as_logits,
    bounded,
    classes_of,
    floored,
    form_of,
    limit_of,
    probabilities_of,
    scores_of,
)
from sigmax.calibration.maps import mixed
from sigmax.calibration.saved import checked, map_of, number_out, or_none, read, state_of, written
from sigmax.errors import InputError
from sigmax.estimator import Estimator, not_fitted, tags
from sigmax.inputs import check_names, check_rows, class_numbers, labels_of, names_of_columns, weights_of
from sigmax.links import log_sigmoid
from sigmax.parts import in_parts
from sigmax.rows import log_softmax
from sigmax.writing import onnx_model, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Calibrator"]

ENOUGH = 20  # rows, to tell by their values what scores are


class Calibrator(Estimator):
    """
    Make the probabilities of a classifier true: fitted to scores and labels of rows that the classifier was not trained on.

    Parameters
    ----------
    method : str, default 'auto'
        'auto': for two classes a parabola in the logit ('quadratic'), for more a matrix ('structured') whose strength cross-validation
        chooses, above 200 classes its diagonal alone ('structured-diagonal'). Or 'none', 'temperature', 'platt', 'beta', 'vector', 'matrix',
        'dirichlet', 'isotonic', 'venn-abers'. 'platt', 'beta', 'quadratic', 'isotonic' and 'venn-abers' take each of more than two classes against the rest.
    scores : {'auto', 'logits', 'log-probabilities', 'probabilities'}, default 'auto'
        What the scores are; 'auto' tells by their values.
    classes : sequence, optional
        The classes in the order of the scores. Default: the columns' names where the labels are among them, else the numbers from 0,
        else the labels in ascending order.

    Attributes
    ----------
    classes_ : ndarray
        The classes, in the order of the scores.
    map_ : object
        What was fitted.
    method_ : str
        The method that was used in the end.
    form_ : str
        What the scores were taken for.
    rows_ : float
        The sum of the weights of the rows that it was fitted to.
    loss_before_, loss_after_ : float
        The log-loss of these rows, in nats: what the fit saw, and so too good; :func:`calibrate` tells what to expect of new ones.
    gap_ : float
        At most so much, in nats, the fit could still gain by its own objective; NaN for methods without such a bound.
    notes_ : list of str
        What there is to say about the fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where the scores have names.

    Notes
    -----
    All but 'isotonic' and 'venn-abers' are one logistic regression on features made of the scores, with a ridge that holds them to the scores as
    they are: with few rows little changes. Of more than two classes a probability below 1e-9 counts as this (but for 'none'). Then one part in rows + 1 is shared out evenly (but for 'none' and 'venn-abers'): no probability is 0. Of two
    classes ranks are kept; scores whose class is certain may tie. Sources: Platt 1999 and Guo et al. 2017 (temperature) for logits; Kull et al. 2017 and 2019 (beta, Dirichlet);
    Berta et al. 2025, arXiv 2511.03685 (quadratic and structured).

    Examples
    --------
    >>> import numpy as np
    >>> from sigmax.calibration import Calibrator
    >>> rng = np.random.default_rng(0)
    >>> logits = 3 * rng.normal(size=2000)
    >>> labels = rng.random(2000) < 1 / (1 + np.exp(-logits / 3))  # three times too sure
    >>> calibrator = Calibrator("platt").fit(logits, labels)
    >>> calibrator.predict_proba([3.0])[0].round(2).tolist()
    [0.25, 0.75]
    """

    def __init__(self, method: str = "auto", *, scores: Form = "auto", classes: Sequence[Any] | None = None) -> None:
        self.method = method
        self.scores = scores
        self.classes = classes

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Calibrator:  # noqa: N803
        """
        Fit to scores and labels.

        Parameters
        ----------
        X : array_like of shape (rows, classes), or (rows,) or (rows, 1) for two classes
            Scores; a single column is the logit, or the probability, of the second class.
        y : array_like of shape (rows,)
            The true classes: by number from 0, or by name.
        sample_weight : array_like of shape (rows,), optional
            What each row counts for: twice is as if it were there twice (but for the folds that choose the strength of 'structured'). They
            should not add up to 1, which would be a single row.

        Returns
        -------
        Calibrator
            Itself.

        Raises
        ------
        ValueError
            If scores, labels or weights do not fit one another, or an option is unknown.
        """
        if self.method != "auto" and self.method not in METHODS:
            raise ValueError(f"method={self.method!r}; it must be 'auto' or one of {', '.join(map(repr, METHODS))}")
        check_rows(scores=X, labels=y)
        x = scores_of(X)
        labels = labels_of(y, len(x))
        w = weights_of(sample_weight, len(x))
        columns = 2 if x.ndim == 1 else x.shape[1]
        self.n_features_in_ = 1 if x.ndim == 1 else columns
        names = names_of_columns(X)
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if self.classes is None:
            self.classes_ = classes_of(labels, columns, names)
        else:
            self.classes_ = np.asarray(self.classes)
            if len(self.classes_) != columns or len(set(self.classes_.tolist())) < columns:
                raise ValueError(
                    f"classes={list(self.classes_)}: give {columns} different ones, in the order of the scores"
                )
        numbers = class_numbers(labels, self.classes_)
        self.form_ = form_of(x, self.scores)
        z, self.limit_ = self._finite(x)
        self.rows_ = float(w.sum())
        self.fingerprint_ = _fingerprint(x, numbers, w)
        counted = int((w > 0).sum())
        if self.rows_ < counted / 10:
            warnings.warn(
                f"the sample weights add up to {self.rows_:.3g}, and so count as so many rows; there are {counted}",
                stacklevel=2,
            )
        if not (w > 0).any():
            raise ValueError("all sample weights are zero: no row counts")
        found = fit_map(self.method, z, numbers, w)
        self.map_, self.method_, self.notes_, self.gap_ = found.map, found.method, list(found.notes), found.gap
        self.loss_before_ = log_loss(z, numbers, w)
        self.loss_after_ = log_loss(z, numbers, w, self.map_, self.rows_ if self._is_mixed else None)
        return self

    def _finite(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return scores as the fit takes them, and how far apart it lets them be."""
        shape = len(x), 1 if x.ndim == 1 else x.shape[1]
        z = np.empty(len(x) if shape[1] == 2 else x.shape)

        def of(part: slice) -> float:
            z[part] = self._unbounded(x[part])
            return limit_of(z[part])

        limit = max(in_parts(of, *shape))

        def bound(part: slice) -> None:
            z[part] = bounded(z[part], limit)

        in_parts(bound, *shape)
        return z, limit

    @property
    def _is_mixed(self) -> bool:
        """Whether what n rows have not shown is not taken for impossible."""
        return self.method_ not in ("none", "venn-abers")

    def _calibrated(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        found = self.map_(z)
        return mixed(found, self.rows_) if self._is_mixed else found

    def _logits(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        if not hasattr(self, "map_"):
            raise not_fitted(self)
        check_names(self, X)
        x = scores_of(X)
        if self.form_ == "logits" and self.scores == "auto" and len(x) >= ENOUGH:
            found = form_of(x, "auto")
            if found != "logits":
                raise ValueError(
                    f"these scores are {found}, and those of the fit were logits; pass scores of the same kind"
                )
        return self._mapped(x)

    def calibrated(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """
        Return calibrated scores of an array, whose columns are taken to be those of the fit, and logits for logits.

        Parameters
        ----------
        x : ndarray of shape (rows, classes) or (rows,)

        Returns
        -------
        ndarray of float64 of shape (rows,) or (rows, classes)
            As :meth:`decision_function` has them.
        """
        return self._mapped(scores_of(x))

    def _mapped(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._calibrated(self._scores(x))

    def _scores(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores as the map takes them."""
        columns = 1 if x.ndim == 1 else x.shape[1]
        if columns != self.n_features_in_:
            raise ValueError(
                f"X has {columns} features, but {type(self).__name__} is expecting {self.n_features_in_} features as input"
            )
        form_of(x, self.form_)
        return bounded(self._unbounded(x), self.limit_)

    def _unbounded(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        z = as_logits(x, self.form_)
        return z if self.method == "none" else floored(z, self.form_)

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """
        Return calibrated scores.

        Parameters
        ----------
        X : array_like of shape (rows, classes) or (rows,)

        Returns
        -------
        ndarray of shape (rows,) or (rows, classes)
            The logit of the second of two classes; of more, log-probabilities.
        """
        return _as_given(self._logits(X), X)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """
        Return calibrated probabilities, a column for each class in the order of `classes_`.

        Parameters
        ----------
        X : array_like of shape (rows, classes) or (rows,)

        Returns
        -------
        ndarray of shape (rows, classes)
        """
        return _as_given(probabilities_of(self._logits(X)), X)

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """
        Return the logarithms of calibrated probabilities, right to the last digits where a probability is next to 1.

        Parameters
        ----------
        X : array_like of shape (rows, classes) or (rows,)

        Returns
        -------
        ndarray of shape (rows, classes)
        """
        z = self._logits(X)
        logs = np.column_stack([log_sigmoid(-z), log_sigmoid(z)]) if z.ndim == 1 else np.asarray(log_softmax(z))
        return _as_given(logs, X)

    def predict_interval(self, X: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: N803
        """
        Return between what the probabilities lie, whichever class the row is of: for 'venn-abers'.

        Parameters
        ----------
        X : array_like of shape (rows, classes) or (rows,)

        Returns
        -------
        low, high : ndarray of shape (rows, classes)
            What the isotonic regression of the fitted rows and this one gives each class if the row is not of it, and if it is: one of the two
            is calibrated, whatever the scores are. Of more than two classes each is taken against the rest.

        Raises
        ------
        ValueError
            If the calibrator was fitted by another method.
        """
        if not hasattr(self, "map_"):
            raise not_fitted(self)
        if self.method_ != "venn-abers":
            raise ValueError(f"'{self.method_}' gives one probability; intervals are those of Calibrator('venn-abers')")
        check_names(self, X)
        low, high = self.map_.ends(self._scores(scores_of(X)))
        if low.ndim == 1:
            low, high = np.column_stack([1 - high, low]), np.column_stack([1 - low, high])
        return _as_given(low, X), _as_given(high, X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """
        Return the most probable class of each row: see :meth:`most_probable`.

        Parameters
        ----------
        X : array_like of shape (rows, classes) or (rows,)

        Returns
        -------
        ndarray of shape (rows,)
        """
        return np.take(self.classes_, self.most_probable(self._logits(X)))

    def most_probable(self, z: NDArray[np.float64]) -> NDArray[np.int64]:
        """
        Return the number of the most probable class of each row of calibrated scores.

        At even odds a logit says the second class, as everywhere; of equal scores the first is taken.

        Parameters
        ----------
        z : ndarray of shape (rows,) or (rows, classes)

        Returns
        -------
        ndarray of int of shape (rows,)
        """
        if z.ndim == 2:
            return np.asarray(z.argmax(axis=1), np.int64)
        return np.asarray(z >= 0 if self.n_features_in_ == 1 else z > 0).astype(np.int64)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # noqa: N803
        """
        Return the accuracy of `predict`.

        Parameters
        ----------
        X : array_like of shape (rows, classes) or (rows,)
        y : array_like of shape (rows,)
        sample_weight : array_like of shape (rows,), optional

        Returns
        -------
        float
        """
        said = self.predict(X)
        labels = labels_of(y, len(said))
        right = class_numbers(said, self.classes_) == class_numbers(labels, self.classes_)
        return float(np.average(right, weights=None if sample_weight is None else np.asarray(sample_weight)))

    def to_json(self) -> str:
        """
        Return the fitted calibrator as text: plain numbers, which :meth:`from_json` reads back to the same bits.

        Returns
        -------
        str
        """
        if not hasattr(self, "map_"):
            raise not_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        return written(
            {
                "created_by": f"sigmax {_version()}",
                "method": self.method,
                "used": self.method_,
                "scores": self.scores,
                "form": self.form_,
                "classes": self.classes_.tolist(),
                "columns": None if names is None else list(names),
                "single": self.n_features_in_ == 1,
                "limit": number_out(self.limit_),
                "rows": self.rows_,
                "fingerprint": self.fingerprint_,
                "loss_before": or_none(self.loss_before_),
                "loss_after": or_none(self.loss_after_),
                "gap": or_none(self.gap_),
                "notes": self.notes_,
                "map": state_of(self.map_),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Calibrator:
        """
        Return the calibrator that a text describes. Nothing of the text is run.

        Parameters
        ----------
        text : str
            What :meth:`to_json` returned.

        Returns
        -------
        Calibrator

        Raises
        ------
        ValueError
            If the text is no calibrator, or holds what it should not.
        """
        state = read(text)
        classes = state["classes"]
        if (len(classes) != 2 and state["single"]) or len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError(f"a calibrator of the classes {classes}")
        if state["columns"] is not None and len(set(state["columns"])) < len(state["columns"]):
            raise ValueError("two columns have the same name")
        if state["columns"] is not None and len(state["columns"]) != (1 if state["single"] else len(classes)):
            raise ValueError(f"{len(state['columns'])} columns for {len(classes)} classes")
        found = cls(state["method"], scores=state["scores"])
        found.classes_ = np.asarray(classes, dtype=None if not isinstance(classes[0], str) else object)
        found.map_ = checked("map", lambda value: map_of(value, len(classes)), state["map"])
        found.method_, found.form_, found.notes_ = state["used"], state["form"], state["notes"]
        found.n_features_in_ = 1 if state["single"] else len(classes)
        if state["columns"] is not None:
            found.feature_names_in_ = np.asarray(state["columns"], dtype=object)
        found.limit_, found.rows_, found.fingerprint_ = state["limit"], state["rows"], state["fingerprint"]
        found.loss_before_, found.loss_after_, found.gap_ = state["loss_before"], state["loss_after"], state["gap"]
        return found

    def save(self, path: str | Path) -> None:
        """
        Write the fitted calibrator to a JSON file, which appears whole or not at all.

        Parameters
        ----------
        path : str or Path
        """
        write_whole(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | Path) -> Calibrator:
        """
        Read a calibrator from a JSON file. Nothing of the file is run.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Calibrator

        Raises
        ------
        ValueError
            If the file holds no calibrator, naming it.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None

    def to_onnx(self, path: str | Path | None = None) -> Any:
        """
        Return the fitted calibrator as an ONNX model, for whatever runs those.

        Parameters
        ----------
        path : str or Path, optional
            A file to write it to as well, ending in .onnx.

        Returns
        -------
        onnx.ModelProto
            From `scores`, of shape (rows, classes), or (rows, 1) for a single column of two classes, in float64, to `probabilities` of shape
            (rows, classes). What the scores have to be, and the classes, stand in its properties.

        Raises
        ------
        ValueError
            For 'isotonic' and 'venn-abers', which have no formula.
        ModuleNotFoundError
            Without the package onnx.
        """
        if not hasattr(self, "map_"):
            raise not_fitted(self)

        def build() -> Any:
            from sigmax.calibration.exported import onnx_of

            return onnx_of(self)

        return onnx_model(build, path)

    def to_sql(self, source: str, columns: Sequence[str] | None = None) -> str:
        """
        Return the fitted calibrator as a query for DuckDB.

        Parameters
        ----------
        source : str
            The table, or what else may stand behind FROM: a name in quotes where it needs them, ``'scores.parquet'``, a query in brackets.
        columns : sequence of str, optional
            The columns with the scores, in the order of the classes; default: their names at the fit.

        Returns
        -------
        str
            ``SELECT`` of all columns of the source and a probability ``p_<class>`` for each class, in float64; NULL where a score is missing. The
            source has no columns of these names, nor any that begins with ``_sigmax_``.

        Raises
        ------
        ValueError
            For 'isotonic' and 'venn-abers', which have no formula, and if there are not as many columns as scores.
        """
        if not hasattr(self, "map_"):
            raise not_fitted(self)
        from sigmax.calibration.exported import sql_of

        names = list(getattr(self, "feature_names_in_", ())) if columns is None else list(columns)
        if len(names) != self.n_features_in_:
            raise ValueError(
                f"{len(names)} columns for {self.n_features_in_} scores; name them in the order of the classes: columns=[...]"
            )
        return sql_of(self, source, names)

    def __getstate__(self) -> dict[str, Any]:
        return {"parameters": self.get_params(deep=False), "fitted": self.to_json() if hasattr(self, "map_") else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["fitted"] is not None:
            fitted = Calibrator.from_json(state["fitted"])
            self.__dict__.update({k: v for k, v in vars(fitted).items() if k.endswith("_")})
        self.__dict__.update(state["parameters"])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "map_")

    def __sklearn_tags__(self) -> Any:
        return tags()


def _version() -> str:
    import sigmax

    return str(sigmax.__version__)


def _fingerprint(x: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64]) -> str:
    """Return a digest of what a calibrator was fitted to."""
    found = hashlib.sha256()
    for part in (x, y, w):
        found.update(repr(part.shape).encode())
        found.update(np.ascontiguousarray(part).view(np.uint8).data)
    return found.hexdigest()


def _as_given(result: NDArray[np.float64], X: Any) -> NDArray[Any]:  # noqa: N803
    """Return results in the precision of the scores: float32 in, float32 out."""
    dtype = getattr(X, "dtype", None)
    return result.astype(np.float32 if dtype == np.float32 else np.float64, copy=False)
