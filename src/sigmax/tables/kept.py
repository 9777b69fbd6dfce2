"""The columns of a CSV file that are no scores, kept as they are written: what of their text is plain numbers."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sigmax.tables.errors import WrongTypeError

__all__ = ["plain_type", "typed"]

_WHOLE = r"^(0|-?[1-9]\d{0,17})?$"
_FRACTION = r"^(-?(0|[1-9]\d{0,12})(\.0|\.\d{0,14}[1-9])?)?$"
_DIGITS = 15  # that a float64 keeps


def plain_type(column: pa.Array) -> pa.DataType:
    """Return int64 or float64 for text that such a number says in full, leading zeros and digits past the last one being text."""
    if not pa.types.is_string(column.type):
        return column.type
    if _all(pc.match_substring_regex(column, _WHOLE)):
        return pa.int64() if pc.any(pc.not_equal(column, "")).as_py() else pa.string()
    return pa.float64() if _is_fraction(column) else pa.string()


def _is_fraction(column: pa.Array) -> bool:
    digits = pc.utf8_length(pc.replace_substring_regex(column, r"[-.]|^0\.0*", ""))
    return _all(pc.match_substring_regex(column, _FRACTION)) and _all(pc.less_equal(digits, _DIGITS))


def _all(found: pa.Array) -> bool:
    return bool(pc.all(found).as_py() in (True, None))


def typed(column: pa.Array, name: str, kind: pa.DataType) -> pa.Array:
    """Return text as numbers of a type that was found by the first rows; where it is none, the file is read anew."""
    if column.type == kind:
        return column
    found = plain_type(column)
    if (
        found != kind
        and not (kind == pa.float64() and found == pa.int64())
        and pc.any(pc.not_equal(column, "")).as_py()
    ):
        raise WrongTypeError(name, kind, "a value that such a number would not show as it is written")
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column).cast(kind)
