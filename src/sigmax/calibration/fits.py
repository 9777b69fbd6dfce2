"""How each method fits its map: all but the isotonic ones are the one solver, on features made of the scores."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.given import fold_of
from sigmax.calibration.isotonic import isotonic
from sigmax.calibration.maps import Affine, Beta, Map, OneVsRest, Polynomial, Tempered, mixed_losses
from sigmax.calibration.temperature import best_temperature
from sigmax.calibration.venn_abers import venn_abers
from sigmax.links import log_sigmoid
from sigmax.losses import binary_cross_entropy, cross_entropy
from sigmax.parts import in_parts
from sigmax.regression import Fit, Own, Problem, Shared, solve
from sigmax.rows import log_softmax, logit_softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["METHODS", "Fitted", "fit_map", "log_loss", "losses_of"]

Floats = Any
MANY = 200  # classes above which a matrix has more numbers than rows can tell
STRENGTHS = (25.0, 5.0, 1.0)  # of the ridge of a matrix, beside an infinite one: the temperature alone
FOLDS = 3
CLOSE = 1e-6  # nats that a fit may still gain where it is only to tell which strength is best
ENOUGH = 100  # rows, below which folds of them cannot tell a matrix from chance


@dataclass(frozen=True)
class Fitted:
    """A map and how it was found: the method that was used in the end, and what there is to say about it."""

    map: Map
    method: str
    notes: tuple[str, ...] = ()
    gap: float = math.nan


def losses_of(z: Floats, y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log-loss of each row of scores."""
    return np.asarray(binary_cross_entropy(z, y.astype(np.float64)) if z.ndim == 1 else cross_entropy(z, y))


def log_loss(z: Floats, y: NDArray[np.int64], w: Floats, of: Map | None = None, mixed_by: float | None = None) -> float:
    """
    Return the weighted mean of the log-loss of scores.

    Parameters
    ----------
    z, y, w : ndarray
        Scores, class numbers, and what each row counts for.
    of : Map, optional
        What is made of the scores first.
    mixed_by : float, optional
        The rows that the map was fitted to, where one part in rows + 1 is shared out evenly.
    """
    classes = 2 if z.ndim == 1 else z.shape[1]

    def losses(part: slice) -> Floats:
        found = losses_of(z[part] if of is None else of(z[part]), y[part])
        return found if mixed_by is None else mixed_losses(found, mixed_by, classes)

    kept = w > 0
    if not kept.any():
        return math.nan
    found = np.concatenate(in_parts(losses, len(y), classes))
    return float(np.average(found[kept], weights=w[kept]))


# ---- two classes: z is the logit of the second ----


def _ridge(features: Floats, z: Floats, y: NDArray[np.int64], w: Floats) -> Fit:
    """Fit z + intercept + features: a normal prior of variance 1 on what each term typically changes in the logit."""
    total = max(float(w.sum()), np.finfo(float).tiny)
    design = Shared(features, 1, w, centred=False)
    typical = (w @ features**2) / total
    penalty = np.append(np.where(typical > 0, typical, np.inf), 1.0)[:, None]
    return solve(Problem(design, y.astype(np.float64), w, penalty, z[:, None]))


def _even(z: Floats, y: NDArray[np.int64], w: Floats, notes: tuple[str, ...]) -> Fitted:
    """Where scores tell the classes apart the wrong way round: the share of each class, whatever the score."""
    solution = _ridge(np.empty((len(z), 0)), np.zeros_like(z), y, w)
    told = "the higher the score, the rarer the second class: its share is given, whatever the score"
    warnings.warn(f"{told}; check the order of the classes", stacklevel=5)
    return Fitted(Polynomial(float(solution.coefficients[-1, 0]), 0.0), "prior", (*notes, told), solution.gap)


def _platt(z: Floats, y: NDArray[np.int64], w: Floats, notes: tuple[str, ...] = ()) -> Fitted:
    scale = float(np.abs(z).max(initial=0)) or 1.0
    solution = _ridge((z / scale)[:, None], z, y, w)
    slope, shift = float(solution.coefficients[0, 0]) / scale, float(solution.coefficients[1, 0])
    if 1 + slope <= 0:
        return _even(z, y, w, notes)
    return Fitted(Polynomial(shift, 1 + slope), "platt", notes, solution.gap)


def _quadratic(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    scale = float(np.abs(z).max(initial=0)) or 1.0
    u = z / scale
    solution = _ridge(np.column_stack([u, u * u]), z, y, w)
    a, c, shift = (float(v) for v in solution.coefficients[:, 0])
    low, high = (float(z[w > 0].min()), float(z[w > 0].max())) if (w > 0).any() else (0.0, 0.0)
    slope, curve = 1 + a / scale, c / scale / scale
    if not min(slope + 2 * curve * low, slope + 2 * curve * high) > 0:
        return _platt(
            z, y, w, ("a parabola would not rise everywhere, and so change the ranks: a straight line is used",)
        )
    return Fitted(Polynomial(shift, slope, curve, low, high), "quadratic", (), solution.gap)


def _beta(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    of_yes, of_no = np.asarray(log_sigmoid(z)), np.asarray(log_sigmoid(-z))
    solution = _ridge(np.column_stack([of_yes, -of_no]), z, y, w)
    yes, no, shift = (float(v) for v in solution.coefficients[:, 0])
    if not min(1 + yes, 1 + no) >= 0 or max(1 + yes, 1 + no) == 0:
        return _platt(
            z, y, w, ("a beta map would not rise everywhere, and so change the ranks: a straight line is used",)
        )
    return Fitted(Beta(shift, 1 + yes, 1 + no), "beta", (), solution.gap)


def _isotonic(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    return Fitted(isotonic(z, y, w), "isotonic")


def _venn_abers(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    return Fitted(venn_abers(z, y, w), "venn-abers")


# ---- any number of classes ----


def _none(*_: Any) -> Fitted:
    return Fitted(Tempered(1.0), "none")


def _temperature(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    t = best_temperature(z, y, w)
    notes: tuple[str, ...] = ()
    if t == 0:
        notes = ("every row's class has the largest score: the best temperature is 0",)
    elif t == math.inf:
        notes = ("the classes' scores are no larger than the others': the best temperature is infinite",)
    for note in notes:
        warnings.warn(note, stacklevel=5)
    return Fitted(Tempered(t), "temperature", notes)


# ---- many classes ----


def _centred(z: Floats) -> Floats:
    return z - z.mean(axis=1, keepdims=True)


def _diagonal(
    s: Floats, y: NDArray[np.int64], w: Floats, c: float, start: Fit | None = None, *, tolerance: float = 1e-10
) -> tuple[Floats, Floats, Fit]:
    """Fit s + diag(a) s + b; return a, b and the solution."""
    size = _variance(s, w)
    design = Own(s, w)
    penalty = np.stack([np.full(s.shape[1], c * size), np.full(s.shape[1], c)])
    begin = None if start is None else design.inner(start.coefficients)
    solution = solve(Problem(design, y, w, penalty, s), start=begin, tolerance=tolerance)
    return solution.coefficients[0], solution.coefficients[1], solution


def _matrix(
    s: Floats, y: NDArray[np.int64], w: Floats, c: float, start: Fit | None = None, *, tolerance: float = 1e-10
) -> tuple[Floats, Floats, Fit]:
    """Fit s + W s + b; return W, b and the solution."""
    classes = s.shape[1]
    size = _variance(s, w)
    design = Shared(s, classes, w, centred=False)
    penalty = np.full(design.shape, c * size * classes)
    penalty[np.arange(classes), np.arange(classes)] = c * size
    penalty[-1] = c
    begin = None if start is None else design.inner(start.coefficients)
    solution = solve(Problem(design, y, w, penalty, s), start=begin, tolerance=tolerance)
    return solution.coefficients[:-1], solution.coefficients[-1], solution


def _variance(s: Floats, w: Floats) -> float:
    """Return the mean square of centred scores."""
    found = float(np.average((s * s).mean(axis=1), weights=w)) if w.sum() > 0 else 1.0
    return found if found > 0 else 1.0


def _usual_temperature(z: Floats, y: NDArray[np.int64], w: Floats) -> float:
    """Return the best temperature, kept to where a ridge can go on from: scores as large as usual ones."""
    t = best_temperature(z, y, w)
    size = math.sqrt(_variance(_centred(z), w))
    return min(max(t, size / 30), size * 1e3) if size > 0 else 1.0


def _structured(z: Floats, y: NDArray[np.int64], w: Floats, *, diagonal: bool = False) -> Fitted:
    name = "structured-diagonal" if diagonal else "structured"
    fit = _diagonal if diagonal else _matrix
    if (w > 0).sum() < ENOUGH:
        t = _usual_temperature(z, y, w)
        return Fitted(Tempered(t), name, (f"fewer than {ENOUGH} rows tell a temperature, and no more",))
    best = _strength(fit, z, y, w)
    t = _usual_temperature(z, y, w)
    if best == math.inf:
        return Fitted(Tempered(t), name, ("the temperature alone does best on rows that were held out",))
    matrix, bias, solution = fit(_centred(z / t), y, w, best)
    return Fitted(Affine(t, matrix, bias), name, (f"strength {best:g} by {FOLDS} folds",), solution.gap)


def _strength(fit: Callable[..., tuple[Floats, Floats, Fit]], z: Floats, y: NDArray[np.int64], w: Floats) -> float:
    """Return the ridge that does best on rows that were held out, from an infinite one down to where a weaker one does worse."""
    folds = fold_of(len(y), FOLDS)
    parts = []  # what is fitted in each fold, and the one fit after the other
    least = 0.0
    for fold in range(FOLDS):
        out = folds == fold
        if (w[out] > 0).any() and (w[~out] > 0).any():
            t = _usual_temperature(z[~out], y[~out], w[~out])
            s, new, rows = _centred(z[~out] / t), _centred(z[out] / t), float(w[~out].sum())
            least += float(w[out].sum()) * log_loss(new, y[out], w[out], mixed_by=rows)
            parts.append((out, s, new, rows))
    best = math.inf
    solutions: list[Fit | None] = [None] * len(parts)
    for c in STRENGTHS:
        held = 0.0
        for i, (out, s, new, rows) in enumerate(parts):
            matrix, bias, solutions[i] = fit(s, y[~out], w[~out], c, solutions[i], tolerance=CLOSE)
            held += float(w[out].sum()) * log_loss(new, y[out], w[out], Affine(1.0, matrix, bias), rows)
        if not held < least:
            break
        best, least = c, held
    return best


def _vector(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    weights, bias, solution = _diagonal(_centred(z), y, w, 1.0)
    return Fitted(Affine(1.0, weights, bias), "vector", (), solution.gap)


def _whole_matrix(z: Floats, y: NDArray[np.int64], w: Floats, *, centred: bool = True) -> Fitted:
    s = _centred(z) if centred else np.asarray(log_softmax(z))
    weights, bias, solution = _matrix(s, y, w, 1.0)
    return Fitted(Affine(1.0, weights, bias, centred), "matrix" if centred else "dirichlet", (), solution.gap)


def _each(fit: Callable[..., Fitted]) -> Callable[..., Fitted]:
    def of_all(z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
        logits = np.asarray(logit_softmax(z))
        fitted = [fit(logits[:, k], (y == k).astype(np.int64), w) for k in range(z.shape[1])]
        notes = tuple(dict.fromkeys(f"class {k}: {note}" for k, f in enumerate(fitted) for note in f.notes))
        gaps = [f.gap for f in fitted]
        return Fitted(OneVsRest(tuple(f.map for f in fitted)), fitted[0].method, notes, max(gaps))

    return of_all


@dataclass(frozen=True)
class Method:
    """How a method fits two classes, and more."""

    two: Callable[..., Fitted]
    many: Callable[..., Fitted]


METHODS = {
    "none": Method(_none, _none),
    "temperature": Method(_temperature, _temperature),
    "platt": Method(_platt, _each(_platt)),
    "beta": Method(_beta, _each(_beta)),
    "quadratic": Method(_quadratic, _each(_quadratic)),
    "vector": Method(_platt, _vector),
    "matrix": Method(_platt, _whole_matrix),
    "dirichlet": Method(_beta, partial(_whole_matrix, centred=False)),
    "structured": Method(_quadratic, _structured),
    "structured-diagonal": Method(_quadratic, partial(_structured, diagonal=True)),
    "isotonic": Method(_isotonic, _each(_isotonic)),
    "venn-abers": Method(_venn_abers, _each(_venn_abers)),
}


def fit_map(method: str, z: Floats, y: NDArray[np.int64], w: Floats) -> Fitted:
    """
    Fit a method's map.

    Parameters
    ----------
    method : str
        A name in `METHODS`, or 'auto'.
    z : ndarray of shape (rows,) or (rows, classes)
        Finite logits of the second of two classes, or a score for each class.
    y : ndarray of int of shape (rows,)
        Class numbers.
    w : ndarray of shape (rows,)
        What each row counts for.
    """
    if method == "auto":
        method = "quadratic" if z.ndim == 1 else "structured" if z.shape[1] <= MANY else "structured-diagonal"
    known = METHODS[method]
    return known.two(z, y, w) if z.ndim == 1 else known.many(z, y, w)
