"""What a calibrator is given: scores of any form as logits, and labels as class numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from sigmax.calibration.noticed import already_probabilities
from sigmax.inputs import host_array, refuse_masked
from sigmax.links import logit, sigmoid
from sigmax.parts import in_parts
from sigmax.rows import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "Form",
    "add_up",
    "as_logits",
    "bounded",
    "classes_of",
    "floored",
    "fold_of",
    "form_of",
    "limit_of",
    "no_probabilities",
    "probabilities_of",
    "scores_of",
]

Form = Literal["auto", "logits", "log-probabilities", "probabilities"]
SLACK = 1e-4  # by which a rounded probability may be out of range
APART = 0.05  # by which the rounded probabilities of a row may miss 1
LARGEST = 1e100  # finite scores beyond count as this
RAREST = 1e-9  # a probability of one of many classes that is rarer stands for this: how rare says nothing
CERTAIN = 13.815509557963773  # the logit of 1 - 1e-6: a probability of exactly 0 or 1 is no farther out than this


def scores_of(scores: Any) -> NDArray[np.float64]:
    """Return scores as an array of shape (rows,) or (rows, classes) of float64; a single column is one of logits."""
    refuse_masked("scores", scores)
    if hasattr(scores, "tocsr") or hasattr(scores, "todense"):
        raise TypeError("sparse scores are not supported; pass a dense array: X.toarray()")
    x = np.asarray(host_array(scores))
    if x.dtype.kind == "c":
        raise ValueError("Complex data not supported: complex scores have no order; pass real ones")
    if x.dtype.kind not in "fiub" and x.dtype.name != "bfloat16":
        try:
            x = x.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"scores of dtype {x.dtype} are no numbers: {error}") from None
    if x.ndim == 2 and x.shape[1] == 0:
        raise ValueError(f"0 feature(s) (shape={x.shape}) while a minimum of 1 is required.")
    if x.ndim not in (1, 2):
        raise ValueError(f"scores of shape {x.shape}: give (rows, classes), or (rows,) for two classes")
    x = x.astype(np.float64, copy=False)
    if np.isnan(x).any():
        row = int(np.argwhere(np.isnan(x))[0, 0])
        raise ValueError(f"scores: row {row} has a NaN; leave such rows out")
    if not len(x):
        raise ValueError(f"Found array with 0 sample(s) (shape={x.shape}) while a minimum of 1 is required.")
    return x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x


def no_probabilities(x: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows, of shape (rows,) or (rows, classes), hold no probabilities: numbers outside of [0, 1], or that do not add up to 1."""
    with np.errstate(invalid="ignore"):
        inside = (x >= -SLACK) & (x <= 1 + SLACK)
        return ~inside if x.ndim == 1 else ~(inside.all(axis=1) & add_up(x.sum(axis=1, dtype=np.float64)))


def add_up(sums: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which sums of a row's probabilities are 1, as closely as rounded ones come to it."""
    found: NDArray[np.bool_] = np.abs(sums - 1) <= APART
    return found


def form_of(x: NDArray[np.float64], form: Form) -> Form:
    """Return what the numbers are: as declared, or as their values tell."""
    if form not in get_args(Form):
        raise ValueError(f"scores={form!r}; it must be one of {', '.join(map(repr, get_args(Form)))}")
    if form == "auto":
        finite = x[np.isfinite(x).all(axis=1)] if x.ndim == 2 else x[np.isfinite(x)]
        matrix = np.atleast_2d(finite) if x.ndim == 1 else finite.T
        found = already_probabilities(matrix, "sigmoid" if x.ndim == 1 else "softmax")
        if found in ("probabilities", "log-probabilities"):
            return form_of(x, found)  # type: ignore[arg-type]
        if found is not None and found != "class numbers":
            raise ValueError(
                f"the scores look like {found}; turn them into probabilities, or pass scores='logits' if they are logits"
            )
        return "logits"
    if form == "log-probabilities" and x.ndim == 1:
        raise ValueError("one column of log-probabilities does not tell the other class's; pass both columns")
    if form != "logits":
        in_parts(lambda part: _check_form(x[part], form, part.start), len(x), 1 if x.ndim == 1 else x.shape[1])
    return form


def _check_form(x: NDArray[np.float64], form: Form, begin: int) -> None:
    """Raise ValueError if numbers cannot be what they are said to be: those of a part of the rows, which begins there."""
    right = (x >= -SLACK) & (x <= 1 + SLACK) if form == "probabilities" else x <= SLACK
    if not right.all():
        raise ValueError(f"scores: {x[~right][0]} is none of the {form} that they are said to be, or were at the fit")
    if x.ndim == 1:
        return
    with np.errstate(over="ignore"):
        sums = np.ascontiguousarray((x if form == "probabilities" else np.exp(x)).T).sum(axis=0)
    if not (right := add_up(sums)).all():
        row = int(np.argmin(right))
        raise ValueError(f"scores: the {form} of row {begin + row} add up to {sums[row]:.4g}, not to 1")


def as_logits(x: NDArray[np.float64], form: Form) -> NDArray[np.float64]:
    """Return the logit of the second of two classes, of shape (rows,), or a score for each class, of shape (rows, classes)."""
    if form == "probabilities":
        x = np.clip(x, 0, 1)  # a rounding above 1 is one
        with np.errstate(divide="ignore"):
            if x.ndim == 1:
                return np.asarray(logit(x))
            x = np.log(x)
    if x.ndim == 2 and x.shape[1] == 2:
        with np.errstate(invalid="ignore", over="ignore"):
            z = x[:, 1] - x[:, 0]
        return np.where(np.isnan(z), 0.0, z)  # both impossible, or both certain: nothing tells them apart
    return x


def probabilities_of(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a column for each class: of logits of the second of two, or of a score for each."""
    return np.column_stack([sigmoid(-z), sigmoid(z)]) if z.ndim == 1 else np.asarray(softmax(z))


def floored(z: NDArray[np.float64], form: Form) -> NDArray[np.float64]:
    """Return log-probabilities of more than two classes of which none is below that of one in 10^9: what is rarer was never counted."""
    return z if z.ndim == 1 or form == "logits" else np.maximum(z, np.log(RAREST))


def bounded(z: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Return finite scores: what is infinite lies a limit away from 0, or from the finite scores of its row; and what has no square."""
    if z.ndim == 2 and (np.abs(z) > LARGEST).any():  # differences count, not where the largest stands
        top = np.where(np.isfinite(z), z, -np.inf).max(axis=1, keepdims=True)
        with np.errstate(over="ignore", invalid="ignore"):
            z = np.where(np.isfinite(top), z - top, z)
            z = np.where(np.isfinite(z), np.maximum(z, -LARGEST), z)
    elif z.ndim == 1:
        z = np.where(np.isfinite(z), np.clip(z, -LARGEST, LARGEST), z)
    finite = np.isfinite(z)
    if finite.all():
        return z
    if z.ndim == 1:
        return np.where(finite, z, np.copysign(limit, z))
    high, low = (
        of(np.where(finite, z, np.copysign(np.inf, side)), axis=1, keepdims=True)
        for of, side in ((np.max, -1), (np.min, 1))
    )
    none = ~finite.any(axis=1, keepdims=True)
    return np.where(finite, z, np.where(z > 0, np.where(none, limit, high + limit), np.where(none, 0.0, low - limit)))


def limit_of(z: NDArray[np.float64]) -> float:
    """Return how far apart scores may be: as far as the farthest finite ones, and at least as far as a probability of 1e-6."""
    if z.ndim == 1:
        return min(max(CERTAIN, float(np.abs(z[np.isfinite(z)]).max(initial=0))), LARGEST)
    finite = np.where(np.isfinite(z), z, np.nan).T.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = np.fmin.reduce(finite, axis=0), np.fmax.reduce(finite, axis=0)
        apart = high - low
    largest = float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0
    return min(max(CERTAIN, largest), LARGEST)


def fold_of(rows: int, folds: int) -> NDArray[np.int64]:
    """Return the fold of each row: at random, so that no order of the rows can matter to it, and each time the same."""
    found: NDArray[np.int64] = np.random.default_rng(0).permutation(rows) % folds
    return found


def classes_of(labels: NDArray[Any], columns: int, names: Sequence[str] | None) -> NDArray[Any]:
    """
    Return the classes in the order of the columns.

    Labels are the columns' names, or the ends of these (logit_cat for cat); where the columns have none, or only numbers are given that none has,
    the numbers from 0 are the columns' own, and other labels stand for them in ascending order.
    """
    seen = np.unique(labels)
    if labels.dtype.kind == "b":
        seen = seen.astype(bool)
    if names is not None and columns == len(names) and (found := _by_name(seen, names)) is not None:
        return found
    if names is not None and columns == len(names) and labels.dtype.kind in "OUST":
        raise ValueError(
            f"the labels ({', '.join(map(str, seen[:5]))}) are not the names of the columns ({', '.join(names[:5])}); name the classes in the "
            "order of the columns: classes=[...]"
        )
    if labels.dtype.kind in "iu" and seen.size and seen[0] >= 0 and seen[-1] < columns:
        return np.arange(columns)
    if labels.dtype.kind == "b" and columns == 2:
        return np.array([False, True])
    if seen.size == columns:
        return seen
    alone = (
        "Only binary classification is supported by a single column of scores: "
        if columns == 2 and seen.size > 2
        else ""
    )
    raise ValueError(
        f"{alone}the labels have {seen.size} classes ({', '.join(map(str, seen[:5]))}{', ...' if seen.size > 5 else ''}) and the scores {columns}; "
        "name the classes in the order of the scores: classes=[...]"
    )


def _by_name(seen: NDArray[Any], names: Sequence[str]) -> NDArray[Any] | None:
    """Return the classes in the order of columns that are named after them, whole or at their ends; None if they are not."""
    for start in {0, *(i for i in range(len(names[0])) if len({n[:i] for n in names}) == 1)}:
        ends = [n[start:] for n in names]
        if len(set(ends)) == len(ends) and "" not in ends and {str(v) for v in seen} <= set(ends):
            of_label = {str(v): v for v in seen.tolist()}
            if all(isinstance(v, str) for v in of_label.values()):
                return np.asarray(ends, dtype=object)
            if len(of_label) == len(ends):
                return np.asarray([of_label[e] for e in ends])
            if all(e.lstrip("-").isdecimal() for e in ends):
                return np.asarray([int(e) for e in ends])
    return None
