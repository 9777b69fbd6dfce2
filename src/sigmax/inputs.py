"""What an estimator is given beside its numbers: names of columns, labels as class numbers, weights; and what is refused."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "check_names",
    "check_rows",
    "class_numbers",
    "host_array",
    "labels_of",
    "names_of_columns",
    "refuse_masked",
    "weights_of",
]


def host_array(x: Any) -> Any:
    """Return a tensor's values, wherever they are and whether or not they are derived, as a NumPy array; others as they are."""
    if type(x).__module__.partition(".")[0] != "torch":
        return x
    x = x.detach()
    return (x.float() if str(x.dtype) == "torch.bfloat16" else x).cpu().numpy()


def names_of_columns(scores: Any) -> list[str] | None:
    """Return the names of a table's columns; None where they have none."""
    names = getattr(scores, "columns", None)
    if names is None or callable(names):
        return None
    found = [str(name) for name in names]
    return found if all(isinstance(name, str) for name in names) else None


def check_names(estimator: Any, X: Any) -> None:  # noqa: N803
    """Compare the names of columns with those of an estimator's fit; called two below a public method, whose caller is warned."""
    names, known = names_of_columns(X), list(getattr(estimator, "feature_names_in_", ())) or None
    if names == known:
        return
    if known is not None and names is not None:
        raise ValueError(
            f"The feature names should match those that were passed during fit: {', '.join(known[:8])}; these are {', '.join(names[:8])}"
        )
    has, fitted = ("has", "without") if known is None else ("does not have", "with")
    told = f"X {has} valid feature names, but {type(estimator).__name__} was fitted {fitted} feature names"
    warnings.warn(told, UserWarning, stacklevel=4)


def refuse_masked(name: str, value: Any) -> None:
    """Refuse an array in which something is masked: what stands below the mask would count."""
    if np.ma.is_masked(value):
        raise ValueError(f"some {name} are masked; leave these rows out")


def check_rows(**given: Any) -> None:
    """Refuse masked arrays, and pandas objects whose rows have different names: they would be taken for one another by their places."""
    for name, value in given.items():
        refuse_masked(name, value)
    frames = (v for v in given.values() if type(v).__module__.partition(".")[0] == "pandas")
    indexes = [v.index for v in frames if hasattr(v, "index")]
    if len(indexes) > 1 and not all(index.equals(indexes[0]) for index in indexes):
        raise ValueError(
            f"{' and '.join(given)} have different indexes; give both the same, or pass arrays to go by position"
        )


def class_numbers(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of each label's class."""
    if labels.dtype.kind == "f" and np.asarray(classes).dtype.kind in "iu" and not (labels == np.rint(labels)).all():
        raise ValueError(f"the label {labels[labels != np.rint(labels)].flat[0]} is no class number")
    numbered = labels.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes)))
    if numbered and labels.size and labels.min() >= 0 and labels.max() < len(classes):
        return labels.astype(np.int64)
    known = {value: k for k, value in enumerate(np.asarray(classes).tolist())}
    found, back = np.unique(labels, return_inverse=True)
    by_text = {str(value): k for value, k in known.items()}
    numbers = np.array([known.get(value, by_text.get(str(value), -1)) for value in found.tolist()], np.int64)
    if (numbers < 0).any():
        odd = found[numbers < 0].tolist()[0]
        raise ValueError(f"the label {odd!r} is none of the classes: {', '.join(map(str, list(classes)[:10]))}")
    return numbers[back.reshape(labels.shape)]


def labels_of(y: Any, rows: int) -> NDArray[Any]:
    """Return labels as an array of shape (rows,), of class numbers or names."""
    refuse_masked("labels", y)
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None: a fit needs the true classes")
    labels = np.asarray(host_array(y))
    if labels.ndim == 2 and labels.shape[1] == 1:
        _warn_column()
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of rows: labels of shape {labels.shape} for {rows} rows; give one class a row"
        )
    if labels.dtype.kind == "O" and any(v is None or v != v for v in labels.tolist()):
        raise ValueError("Input y contains NaN or None; leave rows without a label out")
    if labels.dtype.kind in "fc" and not np.isfinite(labels).all():
        raise ValueError("Input y contains NaN or infinity; leave rows without a label out")
    if labels.dtype.kind == "f" and not (labels == np.rint(labels)).all():
        raise ValueError(
            f"Unknown label type: continuous: the label {labels[labels != np.rint(labels)].flat[0]} is no class; pass class numbers or names"
        )
    return labels.astype(np.int64) if labels.dtype.kind == "f" else labels


def _warn_column() -> None:
    told = "A column-vector y was passed when a 1d array was expected; pass y.ravel()"
    if "sklearn" in sys.modules:
        from sklearn.exceptions import DataConversionWarning

        warnings.warn(told, DataConversionWarning, stacklevel=5)
    else:
        warnings.warn(told, stacklevel=5)


def weights_of(sample_weight: Any, rows: int) -> NDArray[np.float64]:
    """Return what each row counts for: 1 if nothing is said."""
    if sample_weight is None:
        return np.ones(rows)
    w = np.asarray(host_array(sample_weight), np.float64)
    if w.ndim == 0:
        w = np.full(rows, float(w))
    if w.shape != (rows,):
        raise ValueError(f"sample weights of shape {w.shape} for {rows} rows")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError(
            f"a sample weight is {w[~(np.isfinite(w) & (w >= 0))].flat[0]}; weights are finite and not negative"
        )
    return w
