"""What a user gives a regression: features, targets and an offset, refused in scikit-learn's words where they are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.inputs import class_numbers, host_array, labels_of, names_of_columns, refuse_masked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sigmax.regression.scaling import Scaling

__all__ = ["features_of", "offset_of", "refuse_odd_numbers", "targets_of"]


def features_of(X: Any) -> Any:  # noqa: N803
    """Return features as a matrix of float32 or float64, or as a sparse one of rows."""
    refuse_masked("features", X)
    if hasattr(X, "tocsr"):
        x = X.tocsr()
        if x.ndim != 2:
            raise ValueError(f"features of shape {x.shape}: give (rows, features)")
        if x.dtype.kind == "c":
            raise ValueError("Complex data not supported: complex features have no order; pass real ones")
        x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    else:
        x = np.asarray(host_array(X))
        if x.dtype.kind == "c":
            raise ValueError("Complex data not supported: complex features have no order; pass real ones")
        if x.dtype.kind in "mM":
            raise TypeError(
                f"features of dtype {x.dtype} are times; argument must be a string or a number: say since when, and in what unit"
            )
        if x.dtype.kind in "OUST":
            x = _numbers_of(x)
        x = x.astype(np.float32 if x.dtype.name in ("float16", "float32", "bfloat16") else np.float64, copy=False)
        x = np.require(x, requirements="A")
        if x.ndim != 2:
            raise ValueError(
                f"Expected 2D array, got {x.ndim}D array instead, of shape {x.shape}. Reshape your data either using array.reshape(-1, 1) if "
                "your data has a single feature or array.reshape(1, -1) if it contains a single sample."
            )
    if x.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={x.shape}) while a minimum of 1 is required.")
    if x.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={x.shape}) while a minimum of 1 is required.")
    return x


def _numbers_of(x: NDArray[Any]) -> NDArray[np.float64]:
    try:
        return x.astype(np.float64)
    except TypeError as error:
        raise TypeError(f"features are no numbers: {error}; argument must be a string or a number") from None
    except ValueError as error:
        raise ValueError(
            f"features of dtype {x.dtype} are no numbers: {error}; make columns of words into indicators, as `sigmax fit` does"
        ) from None


def refuse_odd_numbers(x: Any, scaling: Scaling | None) -> None:
    """Raise ValueError for a feature that is NaN or infinite: where sums with it are, if they are known."""
    if scaling is not None and np.isfinite(scaling.deviation).all() and np.isfinite(scaling.mean).all():
        return
    values = x.data if hasattr(x, "tocsr") else x
    if np.isnan(values).any():
        where = (
            ""
            if hasattr(x, "tocsr")
            else f" (row {np.argwhere(np.isnan(x))[0][0]}, column {np.argwhere(np.isnan(x))[0][1]})"
        )
        raise ValueError(f"Input X contains NaN{where}; leave such rows out, or fill them")
    raise ValueError(f"Input X contains infinity or a value too large for {values.dtype!r}")


def targets_of(y: ArrayLike, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return class numbers or probabilities, and the classes."""
    q = np.asarray(host_array(y))
    shape = q.shape
    if len(shape) == 2 and shape[1] > 1:
        if q.dtype.kind in "fiub" and shape[0] == rows:
            q = q.astype(np.float64)
            if (q >= 0).all() and (np.abs(q.sum(axis=1) - 1) <= 1e-6).all():
                names = names_of_columns(y)
                return q, np.arange(q.shape[1]) if names is None else np.asarray(names, dtype=object)
        raise ValueError(
            f"Unknown label type: y of shape {shape} holds no probabilities, of which each row adds up to 1; give one class a row"
        )
    labels = labels_of(y if y is None or isinstance(y, np.ma.MaskedArray) else q, rows)
    numbered = labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < max(1000, rows)
    if numbered:  # without a sort
        counts = np.bincount(labels.astype(np.int64))
        classes = np.flatnonzero(counts).astype(labels.dtype)
        place = np.cumsum(counts > 0) - 1
        return place[labels], classes
    classes = np.unique(labels)
    return class_numbers(labels, classes), classes


def offset_of(offset: ArrayLike | None, rows: int, columns: int) -> NDArray[np.float64] | None:
    """Return what is added to the scores, in their shape."""
    if offset is None:
        return None
    found = np.asarray(host_array(offset), np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.shape != (rows, columns) or not np.isfinite(found).all():
        raise ValueError(
            f"an offset of shape {found.shape} for {rows} rows and {columns} columns of scores; give finite numbers"
        )
    return found
