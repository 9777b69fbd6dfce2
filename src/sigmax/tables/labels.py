"""Labels and classes: which class a label names, by name where classes have names, by its place where they have none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.tables.dialect import NUMBER
from sigmax.tables.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["ClassNames", "distinct", "is_missing", "key_of", "label_indices", "label_sets", "members"]


_MISSING = frozenset(
    ["", "NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "None", "NULL", "null"]
)  # where no class is called so


def key_of(value: Any) -> Any:
    """Return what is equal for all ways of writing a label: a number for 1, 1.0, "1" and True, else the word."""
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):  # beyond 2^53 it stands for several numbers, and is none of them
        return int(value) if abs(value) < 2**53 and value == int(value) else value
    word = str(value).strip()
    if word.lower() in ("true", "false"):
        return int(word.lower() == "true")
    if NUMBER.fullmatch(word):
        return key_of(int(word) if word.lstrip("+-").isdecimal() else float(word))
    return word


def is_missing(value: Any) -> bool:
    """Return whether a label is not there."""
    if isinstance(value, str):
        return value.strip() in _MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


class ClassNames:
    """
    The classes of a file, as its labels name them.

    Parameters
    ----------
    classes : sequence of str
        Their names, in the order of the scores.
    by_place : bool
        Whether a number that is no class's name is a place in that order, counted from 0: where the columns have no names.
    """

    def __init__(self, classes: Sequence[str], by_place: bool) -> None:
        self.classes = list(classes)
        self.by_place = by_place and not any(NUMBER.fullmatch(c) for c in classes)
        self._exact = {c: k for k, c in enumerate(classes)}
        self._alike: dict[Any, int | None] = {}
        for k, c in enumerate(classes):
            key = key_of(c)
            self._alike[key] = k if key not in self._alike else None  # None: it could be either

    def find(self, value: Any) -> int | None:
        """Return the class that a label names, None if there is none."""
        exact = self._exact.get(str(value))
        if exact is not None:
            return exact
        key = key_of(value)
        found = self._alike.get(key)
        if found is None and self.by_place and isinstance(key, int) and 0 <= key < len(self.classes):
            return key
        return found

    def unknown(self, value: Any, row: int, file: str) -> TableError:
        """Return the error for a label that names no class."""
        where = f"row {row}" + (f" of {file}" if file else "")
        few = ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        text = value if isinstance(value, str) and NUMBER.fullmatch(value) else repr(value)
        shown = text if len(text) <= 60 else text[:57] + "..."
        if key_of(value) in self._alike:
            return TableError(
                f"the label {shown} in {where} could be several of the classes {few}; write it as they are"
            )
        key, count = key_of(value), len(self.classes)
        example = ""
        if isinstance(key, int) and 0 <= key <= count <= 20 and not any(NUMBER.fullmatch(c) for c in self.classes):
            example = f", as in --classes {' '.join(str(k + (key == count)) for k in range(count))}"
        return TableError(
            f"the label {shown} in {where} is none of the classes {few}; "
            f"say with --classes what the labels call them, in the order of the scores{example}"
        )


def distinct(column: pa.Array) -> list[Any]:
    """Return the different labels of a column, as they come."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return [v for v in encoded.dictionary.to_pylist() if not is_missing(v)]


def members(value: Any) -> Iterable[Any]:
    """Return the labels in one that may be a list, or words joined by ';'."""
    found = value.split(";") if isinstance(value, str) else value if isinstance(value, list) else [value]
    return [m for m in found if not is_missing(m)]


def label_indices(column: pa.Array, names: ClassNames, first_row: int, file: str = "") -> NDArray[np.int64]:
    """Return the class of each label, -1 where it is missing or empty."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1))
    found = []
    for i, value in enumerate(encoded.dictionary.to_pylist()):
        known = -1 if is_missing(value) and names.find(value) is None else names.find(value)
        if known is None:
            where = np.flatnonzero(indices == i)
            if not where.size:  # a category that no row has
                known = -1
            else:
                raise names.unknown(value, first_row + int(where[0]), file)
        found.append(known)
    return np.asarray([*found, -1], np.int64).take(indices)


def label_sets(
    column: pa.Array, names: ClassNames, first_row: int, file: str = ""
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which classes each label names (a list, or words joined by ';'), a row a class; and which labels are there."""
    truth = np.zeros((len(names.classes), len(column)), bool)
    known = np.asarray(column.is_valid())
    for row, value in enumerate(column.to_pylist()):
        for member in members(value) if known[row] else []:
            k = names.find(member)
            if k is None:
                raise names.unknown(member, first_row + row, file)
            truth[k, row] = True
    return truth, known
