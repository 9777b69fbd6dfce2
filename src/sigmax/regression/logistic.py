"""Logistic and softmax regression: weights of features, found for certain."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sigmax.estimator import Estimator, not_fitted
from sigmax.inputs import (
    check_names,
    check_rows,
    labels_of,
    names_of_columns,
    weights_of,
)
from sigmax.links import log_sigmoid, sigmoid
from sigmax.regression.dense import Dense
from sigmax.regression.errors import covariance_of
from sigmax.regression.given import features_of, offset_of, refuse_odd_numbers, targets_of
from sigmax.regression.rows import Rows, minimise_rows
from sigmax.regression.scaling import Scaling, scaling_of
from sigmax.regression.separation import SeparationError, least_norm, separated
from sigmax.regression.sparse import Sparse
from sigmax.regression.strength import best_penalty
from sigmax.rows import log_softmax, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from sigmax.regression.newton import Solution

__all__ = ["LogisticRegression"]

Strength = float | Literal["auto"]


class LogisticRegression(Estimator):
    r"""
    Logistic regression of two classes, softmax regression of more: :math:`P(Y = k | X = x)` from a weighted sum of features.

    Minimises ``C * sum(w_i * loss_i) + |coef|^2 / 2``, as scikit-learn's class of this name does, by Newton's method on features that are scaled
    inside: it arrives on raw features of any scales, in float32 as in float64, and says how sure it is.

    Parameters
    ----------
    C : float or 'auto', default 1.0
        The inverse of the strength of the ridge; infinite for none. 'auto' puts it on features of mean 0 and deviation 1, as strong as is best
        for rows that are left out.
    fit_intercept : bool, default True
        Whether a constant, free of penalty, is added to the weighted sum. With it the mean probability of each class is its share.
    class_weight : {'balanced'} or dict, optional
        What the rows of each class count for; 'balanced' makes the classes count alike. Probabilities are then those of a world with
        such shares; :func:`sigmax.decisions.shift_prior` takes them back.
    penalties : array_like of shape (features,) or dict, optional
        A factor of the ridge for each feature, by its place or name; 0 leaves it free, infinity leaves it out. Default: 1.
    tol : float, default 1e-12
        The gap to stop at: by how much the mean loss may be above the least one, in nats.
    max_iter : int, default 100
        Newton's steps.
    warm_start : bool, default False
        Whether to start from the coefficients of the last fit.
    standard_errors : {False, True, 'robust'}, default False
        Whether to find the coefficients' standard errors: by the second derivatives, or the sandwich estimate, which holds for a wrong model; that one takes
        weights for what rows count, not for how often they are there.

    Attributes
    ----------
    classes_ : ndarray of shape (classes,)
    coef_ : ndarray of shape (1, features) or (classes, features)
    intercept_ : ndarray of shape (1,) or (classes,)
        Of more than two classes, of which only differences count, they add up to 0 where they have no penalty.
    gap_ : float
        The certificate: by so much at most, in nats a row, the objective is above the least one. NaN where a feature has no penalty, and
        no such bound is known; `decrement_` tells then what one more step would have gained.
    decrement_ : float
    objective_ : float
        The sum of the weighted losses and the penalty, in nats.
    n_iter_ : ndarray of int of shape (1,)
        Newton's steps.
    n_passes_ : int
        How often all rows were looked at.
    C_ : float
        The inverse strength that was used; with C='auto' that on scaled features.
    coef_error_, intercept_error_ : ndarray
        Standard errors, if they were asked for, and `covariance_`, that of features and intercept (last) by classes.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where the features have names.

    Raises
    ------
    SeparationError
        Without a penalty, if features tell the classes apart without an error: their weights would grow for ever.

    See Also
    --------
    sigmax.calibration.Calibrator : makes the probabilities of any classifier hold.

    Notes
    -----
    The gap is a duality gap (Jaakkola and Haussler, 1999), from the sums of the last pass. Where features are sums of others and have no penalty,
    the coefficients of least norm are given. Of many rows it starts from the solution for a sample.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sigmax.regression import LogisticRegression
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> model = LogisticRegression().fit(x, y)
    >>> bool(model.gap_ < 1e-12), model.n_iter_.tolist()
    (True, [10])
    >>> bool(abs(model.predict_proba(x)[:, 1].mean() - y.mean()) < 1e-10)
    True
    """

    def __init__(
        self,
        C: Strength = 1.0,  # noqa: N803
        *,
        fit_intercept: bool = True,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        penalties: ArrayLike | Mapping[str, float] | None = None,
        tol: float = 1e-12,
        max_iter: int = 100,
        warm_start: bool = False,
        standard_errors: Literal[False, True, "robust"] = False,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.penalties = penalties
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.standard_errors = standard_errors

    def fit(
        self,
        X: Any,  # noqa: N803
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> LogisticRegression:
        """
        Fit to features and classes.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (rows, features)
            Finite numbers. A sparse matrix stays sparse.
        y : array_like of shape (rows,), or (rows, classes)
            The classes; or a probability for each of them, a row of which adds up to 1.
        sample_weight : array_like of shape (rows,), optional
            What each row counts for: twice is as if it were there twice.
        offset : array_like of shape (rows,) or (rows, classes), optional
            A score that each row begins with, whose weight is 1; of two classes the second's logit.

        Returns
        -------
        LogisticRegression
            Itself.

        Raises
        ------
        ValueError
            If the arguments do not fit one another, a number is not finite, or there is one class only.
        SeparationError
            If nothing holds the weights.
        """
        self._check()
        check_rows(X=X, y=y)
        x = features_of(X)
        names = names_of_columns(X)
        targets, self.classes_ = targets_of(y, x.shape[0])
        columns = 1 if len(self.classes_) == 2 else len(self.classes_)
        w = weights_of(sample_weight, x.shape[0])
        w = w * self._class_weights(targets, w)
        added = offset_of(offset, x.shape[0], columns)
        if not (w > 0).any():
            raise ValueError("all sample weights are zero: no row counts")
        if not (w > 0).all():
            kept = np.flatnonzero(w > 0)
            x, targets, w = x[kept], targets[kept], w[kept]
            added = None if added is None else added[kept]
        self.n_features_in_ = x.shape[1]
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._refuse_one_class(targets)
        if (
            targets.ndim == 1
            and (empty := np.flatnonzero(np.bincount(targets, minlength=len(self.classes_)) == 0)).size
        ):
            raise ValueError(f"no row of the class {self.classes_[empty[0]]} has a weight above 0; leave its rows out")
        largest = float(w.max())
        unit = 1.0 if 1e-100 < largest < 1e100 else 1 / largest  # sums of what is left are numbers
        w = w * unit
        scaling = scaling_of(x, w, centred=self.fit_intercept)
        refuse_odd_numbers(x, scaling)
        q = targets[:, 1] if targets.ndim == 2 and columns == 1 else targets
        q = q.astype(np.float64) if columns == 1 else q
        factors = self._factors(names)

        def made(strength: float, rows: Any = slice(None)) -> Rows:
            penalty = np.repeat(_product(factors, strength * unit)[:, None], columns, axis=1)
            if self.C == "auto":  # on the scaled features
                penalty = _product(penalty, np.where(scaling.deviation > 0, scaling.deviation, 1.0)[:, None] ** 2)
            penalty = np.vstack([penalty, np.full((1, columns), 0.0 if self.fit_intercept else np.inf)])
            kind = Sparse if hasattr(x, "tocsr") else Dense
            return kind(x[rows], q[rows], w[rows], None if added is None else added[rows], penalty, scaling)

        strength = best_penalty(made, x.shape[0]) if self.C == "auto" else 1 / float(self.C)
        self.C_ = math.inf if strength == 0 else 1 / strength
        of = made(strength)
        start = self._start(scaling, of.shape) if self.warm_start and hasattr(self, "coef_") else None
        solution = minimise_rows(of, start=start, certified=self.tol, most=self.max_iter)
        self._settle(of, solution, names)
        self.objective_ /= unit
        return self

    def _settle(self, of: Rows, solution: Solution, names: list[str] | None) -> None:
        """Keep what was found, or say why nothing could be."""
        free = bool((of.penalty[:-1] == 0).any())
        if free and (led := separated(of, solution)) is not None:
            raise SeparationError.of(led, names, self.classes_)
        theta = least_norm(of, solution.theta) if free and solution.singular else solution.theta
        given = of.scaling.outer(theta)
        self.coef_, self.intercept_ = np.ascontiguousarray(given[:-1].T), given[-1].copy()
        if not self.fit_intercept:
            self.intercept_ = np.zeros_like(self.intercept_)
        self.gap_, self.decrement_, self.objective_ = solution.gap, solution.decrement, solution.objective
        self.n_iter_, self.n_passes_ = np.array([solution.steps], dtype=np.int32), solution.passes
        left = solution.decrement if math.isnan(solution.gap) else solution.gap
        if left > max(self.tol, 1e-7):
            short = solution.steps >= self.max_iter
            more = (
                f"allow more: max_iter={10 * self.max_iter}"
                if short
                else "scale features or weights whose numbers are extreme"
            )
            warnings.warn(
                f"{solution.steps} steps leave a gap of {left:.1e} nats a row; {more}",
                _convergence_warning(),
                stacklevel=3,
            )
        for name in ("covariance_", "coef_error_", "intercept_error_"):
            if hasattr(self, name):
                delattr(self, name)
        if self.standard_errors:
            self.covariance_ = covariance_of(of, solution.theta, robust=self.standard_errors == "robust")
            errors = np.sqrt(np.maximum(np.diag(self.covariance_), 0)).reshape(of.shape)
            self.coef_error_, self.intercept_error_ = np.ascontiguousarray(errors[:-1].T), errors[-1].copy()

    # ---- what is asked ----

    def _check(self) -> None:
        if self.C != "auto" and (isinstance(self.C, bool | str) or not isinstance(self.C, Real) or not self.C > 0):
            raise ValueError(f"C={self.C!r}; it must be a number above 0, infinity for no penalty, or 'auto'")
        if not isinstance(self.max_iter, int | np.integer) or self.max_iter < 1:
            raise ValueError(f"max_iter={self.max_iter!r}; it must be a whole number from 1 on")
        if not isinstance(self.tol, Real) or not self.tol > 0:
            raise ValueError(f"tol={self.tol!r}; it must be a number above 0")
        if self.standard_errors not in (False, True, "robust"):
            raise ValueError(f"standard_errors={self.standard_errors!r}; it must be False, True or 'robust'")

    def _class_weights(self, targets: NDArray[Any], given: NDArray[np.float64]) -> NDArray[np.float64]:
        classes = len(self.classes_)
        if self.class_weight is None:
            return np.ones(len(targets))
        if targets.ndim == 2:
            raise ValueError("class weights are for labels of one class a row, and these are probabilities")
        counts = np.bincount(targets, given, classes)
        if isinstance(self.class_weight, str):
            if self.class_weight != "balanced":
                raise ValueError(
                    f"class_weight={self.class_weight!r}; it must be 'balanced', a dict of weights, or None"
                )
            of = given.sum() / (classes * np.where(counts > 0, counts, 1))
        else:
            if not hasattr(self.class_weight, "items"):
                raise ValueError(
                    f"class_weight={self.class_weight!r}; it must be 'balanced', a dict of weights, or None"
                )
            weights = dict(self.class_weight)
            known = self.classes_.tolist()
            odd = [name for name in weights if name not in known]
            if odd:
                raise ValueError(
                    f"class_weight names the class {odd[0]!r}; there are {', '.join(map(str, known[:10]))}"
                )
            of = np.array([float(weights.get(name, 1.0)) for name in known])
            if not (np.isfinite(of) & (of >= 0)).all():
                raise ValueError(f"class_weight={weights}; weights are finite and not negative")
        return np.asarray(of[targets], np.float64)

    def _factors(self, names: list[str] | None) -> NDArray[np.float64]:
        """Return the factor of the ridge for each feature."""
        count = self.n_features_in_
        if self.penalties is None:
            return np.ones(count)
        if hasattr(self.penalties, "items"):
            known = {name: j for j, name in enumerate(names or [])}
            found = np.ones(count)
            for name, value in self.penalties.items():
                place = known.get(
                    name, int(name) if isinstance(name, int | np.integer) and -count <= name < count else None
                )
                if place is None:
                    raise ValueError(
                        f"penalties names the feature {name!r}; there are {', '.join((names or [])[:10]) or count}"
                    )
                found[place] = value
        else:
            found = np.asarray(self.penalties, np.float64)
        if found.shape != (count,) or not (found >= 0).all():
            raise ValueError(f"penalties of shape {found.shape} for {count} features; give one from 0 on for each")
        return found

    def _refuse_one_class(self, targets: NDArray[Any]) -> None:
        if len(self.classes_) < 2 or (targets.ndim == 1 and (targets == targets[0]).all() and len(self.classes_) == 2):
            one = self.classes_[targets[0]] if targets.ndim == 1 else self.classes_[0]
            raise ValueError(
                f"This solver needs samples of at least 2 classes in the data, but the data contains only one class: {one!r}"
            )

    def _start(self, scaling: Scaling, shape: tuple[int, int]) -> NDArray[np.float64] | None:
        known = np.vstack([self.coef_.T, self.intercept_])
        return scaling.inner(known) if known.shape == shape else None

    # ---- what it says ----

    def decision_function(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray[Any]:  # noqa: N803
        """
        Return scores.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (rows, features)
        offset : array_like of shape (rows,) or (rows, classes), optional
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (rows,) or (rows, classes)
            The logit of the second of two classes; of more a score for each, whose softmax are the probabilities.
        """
        z = self._scores(X, offset)
        return z.astype(np.float32) if getattr(X, "dtype", None) == np.float32 else z

    def _scores(self, X: Any, offset: ArrayLike | None = None) -> NDArray[np.float64]:  # noqa: N803
        if not hasattr(self, "coef_"):
            raise not_fitted(self)
        check_names(self, X)
        x = features_of(X)
        if x.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {x.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features as input"
            )
        if hasattr(x, "tocsr"):
            if not np.isfinite(x.data).all():
                refuse_odd_numbers(x, None)
            z = np.asarray(x @ self.coef_.T) + self.intercept_
        else:
            if not np.isfinite(x).all():
                refuse_odd_numbers(x, None)
            z = np.asarray(Dense.plain_scores(x, np.vstack([self.coef_.T, self.intercept_])))
        columns = z.shape[1]
        added = offset_of(offset, len(z), columns)
        z = z if added is None else z + added
        return np.asarray(z[:, 0] if columns == 1 else z)

    def predict_proba(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray[Any]:  # noqa: N803
        """
        Return probabilities, a column for each class in the order of `classes_`.

        Parameters
        ----------
        X, offset
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (rows, classes)
        """
        z = self._scores(X, offset)
        p = np.column_stack([sigmoid(-z), sigmoid(z)]) if z.ndim == 1 else np.asarray(softmax(z))
        return p.astype(np.float32) if getattr(X, "dtype", None) == np.float32 else p

    def predict_log_proba(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray[Any]:  # noqa: N803
        """
        Return the logarithms of probabilities, right to the last digits where a probability is next to 1.

        Parameters
        ----------
        X, offset
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (rows, classes)
        """
        z = self._scores(X, offset)
        logs = np.column_stack([log_sigmoid(-z), log_sigmoid(z)]) if z.ndim == 1 else np.asarray(log_softmax(z))
        return logs.astype(np.float32) if getattr(X, "dtype", None) == np.float32 else logs

    def predict(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray[Any]:  # noqa: N803
        """
        Return the most probable class of each row.

        Parameters
        ----------
        X, offset
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (rows,)
        """
        z = self._scores(X, offset)
        return np.take(self.classes_, (z > 0).astype(np.int64) if z.ndim == 1 else z.argmax(axis=1))

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # noqa: N803
        """
        Return the accuracy of `predict`.

        Parameters
        ----------
        X : array_like of shape (rows, features)
        y : array_like of shape (rows,)
        sample_weight : array_like of shape (rows,), optional

        Returns
        -------
        float
        """
        said = self.predict(X)
        right = said == labels_of(y, len(said))
        return float(np.average(right, weights=None if sample_weight is None else np.asarray(sample_weight)))

    def interval(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Return confidence intervals of the coefficients, by their standard errors.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        low, high : ndarray of the shape of `coef_`
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r}; it must be between 0 and 1, as in 0.95")
        if not hasattr(self, "coef_error_"):
            raise AttributeError("there are no standard errors; fit with standard_errors=True")
        from statistics import NormalDist

        half = NormalDist().inv_cdf((1 + level) / 2) * self.coef_error_
        return self.coef_ - half, self.coef_ + half

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(sparse=True),
        )


def _product(a: Any, b: Any) -> NDArray[np.float64]:
    """Return a product in which 0 times infinity is infinity: what is held stays so."""
    with np.errstate(invalid="ignore"):
        found = np.asarray(a * b, np.float64)
    return np.where(np.isinf(a), np.inf, found)


def _convergence_warning() -> type[Warning]:
    import sys

    if "sklearn" in sys.modules:
        from sklearn.exceptions import ConvergenceWarning

        return ConvergenceWarning  # type: ignore[no-any-return]
    return RuntimeWarning
