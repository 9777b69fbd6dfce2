"""A classifier and a calibrator of its scores, as one classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.calibrator import Calibrator
from sigmax.calibration.given import fold_of
from sigmax.estimator import Estimator, not_fitted, tags_of_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration.given import Form

__all__ = ["CalibratedModel"]

FOLDS = 5


class CalibratedModel(Estimator):
    """
    A classifier and a calibrator of its scores, as one classifier.

    Parameters
    ----------
    model : object
        A classifier with `decision_function`, `predict_log_proba` or `predict_proba`; the first of them is used. One that is fitted already
        stays as it is, and `fit` takes rows that it was not trained on. One that is not is fitted to parts of the rows, calibrated by its scores of
        the others, and fitted to all of them last.
    calibrator : Calibrator, optional
        Whose method is used; default: 'auto'.

    Attributes
    ----------
    model_ : object
        The fitted classifier.
    calibrator_ : Calibrator
        The fitted calibrator.
    classes_ : ndarray
        The classes, in the order of the probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sigmax.calibration import CalibratedModel
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> model = CalibratedModel(GaussianNB().fit(x[:300], y[:300])).fit(x[300:], y[300:])
    >>> bool(model.predict_proba(x[:1])[0, 0] > 0.9)
    True
    """

    def __init__(self, model: Any, calibrator: Calibrator | None = None) -> None:
        self.model = model
        self.calibrator = calibrator

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> CalibratedModel:  # noqa: N803
        """
        Fit the calibrator, and the model if it is not fitted.

        Parameters
        ----------
        X : array_like of shape (rows, features)
            What the model takes.
        y : array_like of shape (rows,)
            The true classes.
        sample_weight : array_like of shape (rows,), optional
            What each row counts for.

        Returns
        -------
        CalibratedModel
            Itself.
        """
        if hasattr(self.model, "classes_"):
            self.model_ = self.model
            scores = _scores(self.model, X)
        else:
            scores = self._held_out(X, y, sample_weight)
        of = Calibrator("auto" if self.calibrator is None else self.calibrator.method)
        of.scores, of.classes = _form(self.model_), list(self.model_.classes_)
        self.calibrator_ = of.fit(scores, y, sample_weight)
        self.classes_ = self.calibrator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.model_, name):
                setattr(self, name, getattr(self.model_, name))
        return self

    def _held_out(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> NDArray[Any]:  # noqa: N803
        """Fit the model to all rows, and return scores of each row by one that has not seen it."""
        weights = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)}
        self.model_ = _copy(self.model).fit(X, y, **weights)
        labels = np.asarray(y).reshape(-1)
        _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
        folds = min(FOLDS, int(counts.min()))
        if folds < 2 or len(counts) < 2:
            raise ValueError(
                f"the smallest class has {counts.min()} row and there are {len(counts)} classes: a model that is not fitted needs "
                "2 rows of each of 2 classes at least"
            )
        place = np.empty(len(labels), np.int64)
        for k in range(len(counts)):  # as many of each class in every fold
            place[numbers == k] = fold_of(int(counts[k]), folds)
        scores: NDArray[Any] | None = None
        for fold in range(folds):
            out = np.flatnonzero(place == fold)
            rest = np.flatnonzero(place != fold)
            some = {name: w[rest] for name, w in weights.items()}
            one = _copy(self.model).fit(_rows(X, rest), labels[rest], **some)
            found = _scores(one, _rows(X, out))
            scores = np.empty((len(labels), *found.shape[1:])) if scores is None else scores
            scores[out] = found
        return np.asarray(scores)

    def _fitted(self) -> Calibrator:
        if not hasattr(self, "calibrator_"):
            raise not_fitted(self)
        return self.calibrator_

    def decision_function(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return calibrated scores: see :meth:`Calibrator.decision_function`."""
        return self._fitted().decision_function(_scores(self.model_, X))

    def predict_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return calibrated probabilities: see :meth:`Calibrator.predict_proba`."""
        return self._fitted().predict_proba(_scores(self.model_, X))

    def predict_log_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return their logarithms: see :meth:`Calibrator.predict_log_proba`."""
        return self._fitted().predict_log_proba(_scores(self.model_, X))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row."""
        return self._fitted().predict(_scores(self.model_, X))

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # noqa: N803
        """Return the accuracy of `predict`."""
        return self._fitted().score(_scores(self.model_, X), y, sample_weight)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "calibrator_")

    def __sklearn_tags__(self) -> Any:
        return tags_of_model(self.model)


def _copy(model: Any) -> Any:
    """Return an unfitted model with the same parameters."""
    from sklearn.base import clone  # whose model it is

    return clone(model)


def _rows(X: Any, which: NDArray[np.int64]) -> Any:  # noqa: N803
    if hasattr(X, "iloc"):
        return X.iloc[which]
    return X.tocsr()[which] if hasattr(X, "tocsr") else np.asarray(X)[which]


def _form(model: Any) -> Form:
    """Return what the scores of a model are."""
    if hasattr(model, "decision_function"):
        return "logits"
    return "log-probabilities" if hasattr(model, "predict_log_proba") else "probabilities"


def _scores(model: Any, X: Any) -> NDArray[Any]:  # noqa: N803
    for name in ("decision_function", "predict_log_proba", "predict_proba"):
        of = getattr(model, name, None)
        if of is not None:
            return np.asarray(of(X))
    raise TypeError(f"{type(model).__name__} has neither decision_function nor predict_proba: there are no scores")
