"""Which columns hold the scores, what the classes are called, and how a batch becomes a matrix."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.calibration import Calibrator
from sigmax.calibration.noticed import already_probabilities
from sigmax.tables.dialect import Dialect
from sigmax.tables.errors import TableError
from sigmax.tables.families import LOOKED_AT, Table, class_names, is_list, is_numeric, score_columns, variants
from sigmax.tables.labels import ClassNames, key_of
from sigmax.tables.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sigmax.tables.job import Job, Kind, OnBad
    from sigmax.tables.rules import Settled

__all__ = ["NO_NUMBER", "Plan", "asked_columns", "empty_matrix", "make_plan", "score_matrix"]


NO_NUMBER = "a score is no number"
# what stands for a missing number where a column is read as words, as in columns that are read as numbers
_MISSING = pa.array(["", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "NULL", "null"])


@dataclass(frozen=True)
class Plan:
    """What to do with each batch: where the scores are, what they stand for, what the classes are called."""

    columns: list[str]
    is_list: bool
    classes: list[str]
    kind: Kind
    dtype: np.dtype[Any]
    temperature: float
    label: str | None
    on_bad: OnBad | None = None
    model: Model | None = None  # which makes scores of the columns
    rule: Settled | None = None  # what is decided of a row
    calibrator: Calibrator | None = None
    as_scores: bool = False  # whether they are scores however they look
    form: Literal["logits", "probabilities"] = (
        "logits"  # what is done with them: log-probabilities are as good as logits
    )
    by_place: bool = False  # whether the scores have no names, and a label may be the place of its class
    left_out: list[tuple[str, str]] = field(default_factory=list)  # the other columns, with their types
    dialect: Dialect = field(default_factory=Dialect)
    notes: list[str] = field(default_factory=list)  # what should be looked at, a sentence each
    kept: dict[str, pa.DataType] = field(
        default_factory=dict
    )  # of a CSV file, what the text of other columns says in full
    labels_in: str = ""  # the name of the file that the labels are in, where it is another

    @property
    def scores(self) -> int:
        """The number of scores in a row: one for the two classes of a sigmoid."""
        return 1 if self.kind == "sigmoid" else len(self.classes)

    @functools.cached_property
    def names(self) -> ClassNames:
        """The classes as labels name them."""
        return ClassNames(self.classes, self.by_place)

    @property
    def matching(self) -> str:
        """How labels are matched with classes, in words."""
        if self.by_place and self.names.by_place:
            return f"by place, counted from 0: 0 is '{self.classes[0]}', the first"
        if self.by_place:
            return "by number" + (
                ": 0 is the negative class" if self.kind == "sigmoid" and self.classes == ["0", "1"] else ""
            )
        return "by name"

    @property
    def numbered(self) -> bool:
        """Whether the classes are called by numbers."""
        return all(c.isdecimal() and len(c) < 19 and str(int(c)) == c for c in self.classes)


def _unknown(name: str, schema: pa.Schema) -> TableError:
    near = [n for n in schema.names if n.lower() == name.lower()] or difflib.get_close_matches(
        name, schema.names, n=1, cutoff=0.0
    )
    return TableError(
        f"there is no column '{name}'" + (f"; did you mean '{near[0]}'?" if near else "; the file has no columns")
    )


def asked_columns(schema: pa.Schema, patterns: Sequence[str], label: str | None) -> list[str]:
    """Return the columns that names and globs mean; a glob does not mean the label."""
    known, names = set(schema.names), dict[str, None]()
    for pattern in _separated(patterns, known):
        matches = [pattern] if pattern in known else fnmatch.filter(schema.names, pattern)
        if not matches:
            raise _unknown(pattern, schema)
        names.update(dict.fromkeys(n for n in matches if n != label or n == pattern))
    return list(names)


def _separated(words: Sequence[str], known: set[str]) -> list[str]:
    """Return the words, those cut at commas that name no column as they are but do in parts."""
    return [part for word in words for part in ([word] if word in known or "," not in word else word.split(","))]


def _list_size(column: str, schema: pa.Schema, first: pa.RecordBatch | None) -> int:
    """Return the number of scores in the first row that has any."""
    kind = schema.field(column).type
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    sizes = [] if first is None else pc.list_value_length(first.column(column)).drop_null().slice(0, 1).to_pylist()
    return sizes[0] if sizes else 0


def make_plan(table: Table, job: Job) -> Plan:
    """Settle every choice from what is asked and what is known of a file, or say what is wrong with it."""
    schema, label = table.schema, table.label
    if job.model is not None:
        return _plan_of_model(table, job, Model.load(job.model))
    calibrator = None if job.calibration is None else Calibrator.load(job.calibration)
    if calibrator is not None:
        job = _calibrated_job(job, calibrator, schema)
    classes: Sequence[str] = job.classes
    if label is not None and label not in schema.names:
        raise _unknown(label, schema)
    names = asked_columns(schema, job.columns, label) if job.columns else score_columns(table)
    if label in names:
        raise TableError(f"'{label}' is both a score and the label")
    lists = len(names) == 1 and is_list(schema.field(names[0]).type)
    for name in names if not lists else []:
        kind_of = schema.field(name).type
        if not is_numeric(kind_of) and not pa.types.is_null(kind_of) and not table.holds_numbers(name, almost=True):
            raise TableError(
                f"column '{name}' is {schema.field(name).type}, not numeric; choose the score columns with --columns"
            )

    count = _list_size(names[0], schema, table.first) if lists else len(names)
    if not count:
        raise TableError(f"column '{names[0]}' has no row with scores")
    kind = job.kind or ("sigmoid" if count == 1 else "softmax")
    if kind == "sigmoid" and count > 1:
        raise TableError(
            f"a sigmoid takes one score and there are {count}: use --kind multilabel for a sigmoid each, or softmax"
        )
    if kind == "softmax" and count == 1:
        raise TableError("the softmax of one score is always 1: use --kind sigmoid, or name more columns")

    if label is not None and pa.types.is_nested(schema.field(label).type) and kind != "multilabel":
        raise TableError(f"the label '{label}' holds lists: say --kind multilabel, a sigmoid for each score")
    expected = 2 if kind == "sigmoid" else count
    if len(classes) == 1 and classes[0].count(",") == expected - 1:
        classes = classes[0].split(",")
    if classes and len(classes) != expected:
        raise TableError(f"{len(classes)} classes are named and the scores stand for {expected}")
    if len(set(classes)) < len(classes):
        raise TableError(f"the classes {', '.join(classes)} are not all different")
    by_place = lists or kind == "sigmoid" or not table.named
    own = [str(k) for k in range(expected)] if by_place else class_names(names, table.labels)
    notes = _order(names, own, classes) if classes and not by_place else []
    classes = classes or own
    kinds = [schema.field(n).type.value_type if lists else schema.field(n).type for n in names]
    narrow = all(pa.types.is_float16(t) or pa.types.is_float32(t) for t in kinds)
    dtype = np.dtype(np.float32 if narrow else np.float64)
    taken = {*names, label}
    left_out = [(f.name, str(f.type)) for f in schema if f.name not in taken]
    plan = Plan(
        columns=names,
        is_list=lists,
        classes=list(classes),
        kind=kind,
        dtype=dtype,
        temperature=job.temperature,
        label=label,
        on_bad=job.on_bad,
        calibrator=calibrator,
        as_scores=job.as_scores,
        by_place=by_place,
        left_out=left_out,
        dialect=table.dialect,
        notes=notes,
    )
    return _formed(plan, job, table)


def _plan_of_model(table: Table, job: Job, model: Model) -> Plan:
    """Settle what to do with a table of a model's features."""
    schema, label = table.schema, table.label
    if label is not None and label not in schema.names:
        raise _unknown(label, schema)
    model.features.check(schema, str(job.model), typed=table.typed)
    names = [c.name for c in model.features.columns]
    if label in names:
        raise TableError(f"'{label}' is a feature of the model {job.model}, and not its label")
    if job.classes and list(job.classes) != model.classes:
        raise TableError(f"the model {job.model} was fitted to the classes {', '.join(model.classes)}, in this order")
    calibrator = model.calibrator if job.calibration is None else Calibrator.load(job.calibration)
    if calibrator is not None:
        fits = [str(c) for c in calibrator.classes_] == model.classes and calibrator.form_ == "logits"
        if not fits or calibrator.n_features_in_ != (1 if model.is_binary else len(model.classes)):
            raise TableError(
                f"the calibrator {job.calibration} was not fitted to scores of the model {job.model}: sigmax calibrate VALID --model {job.model} makes one"
            )
    taken = {*names, label}
    return Plan(
        columns=names,
        is_list=False,
        classes=list(model.classes),
        kind="sigmoid" if model.is_binary else "softmax",
        dtype=np.dtype(np.float64),
        temperature=job.temperature,
        label=label,
        on_bad=job.on_bad,
        model=model,
        calibrator=calibrator if job.temperature == 1 else None,
        as_scores=True,
        left_out=[(f.name, str(f.type)) for f in schema if f.name not in taken],
        dialect=table.dialect,
    )


def _formed(plan: Plan, job: Job, table: Table) -> Plan:
    """Return the plan with what the numbers are: as was said, or as the first rows tell."""
    if job.form is None or plan.calibrator is not None:  # which knows what it was fitted to
        return plan
    if job.form == "probabilities":
        return dataclasses.replace(plan, form="probabilities")
    if job.form != "auto":
        return dataclasses.replace(plan, as_scores=True)
    if plan.as_scores or table.first is None:
        return plan
    x, unscored = score_matrix(table.first.slice(0, LOOKED_AT), plan)
    good = ~np.logical_or.reduce([np.zeros(x.shape[1], bool), *unscored.values()])
    found = already_probabilities(x[:, good], plan.kind)
    if found == "log-probabilities":
        return dataclasses.replace(plan, as_scores=True)
    if found != "probabilities" or plan.temperature != 1:  # what else they may be is refused where they are scored
        return plan
    named = [c for c in plan.columns if "logit" in c.lower()]
    told = (
        f"column '{named[0]}' is called a logit, and its numbers are taken for probabilities; say --form logits if they are none"
        if named
        else ""
    )
    return dataclasses.replace(plan, form="probabilities", notes=[*plan.notes, told] if told else plan.notes)


def _calibrated_job(job: Job, calibrator: Calibrator, schema: pa.Schema) -> Job:
    """Return the job with the columns, the kind and the classes that a calibrator was fitted to; refuse others."""
    classes = [str(c) for c in calibrator.classes_]
    kind: Kind = "sigmoid" if calibrator.n_features_in_ == 1 else "softmax"
    if job.kind not in (None, kind):
        raise TableError(f"the calibrator {job.calibration} was fitted to scores of the kind {kind}, not {job.kind}")
    if job.classes and list(job.classes) != classes:
        raise TableError(
            f"the calibrator {job.calibration} was fitted to the classes {', '.join(classes)}, in this order"
        )
    columns = [str(c) for c in getattr(calibrator, "feature_names_in_", ())]
    missing = [c for c in columns if c not in schema.names]
    if missing and not job.columns:
        raise TableError(f"there is no column '{missing[0]}', which the calibrator {job.calibration} was fitted to")
    if columns and job.columns and asked_columns(schema, job.columns, job.label) != columns:
        raise TableError(
            f"the calibrator {job.calibration} was fitted to the columns {', '.join(columns)}, in this order"
        )
    return dataclasses.replace(job, columns=job.columns or tuple(columns), kind=kind, classes=tuple(classes))


def _order(columns: list[str], own: list[str], classes: Sequence[str]) -> list[str]:
    """Refuse the columns' own class names in another order; return what should be said of names given to numbered columns."""
    given = [key_of(c) for c in classes]
    for names in variants(columns):
        keys = [key_of(n) for n in names]
        if keys != given and set(keys) == set(given):
            i = next(i for i, (a, b) in enumerate(zip(keys, given, strict=True)) if a != b)
            raise TableError(
                f"--classes calls the column '{columns[i]}' the class '{classes[i]}', which is the name of another column: "
                "leave --classes away, or name the --columns in that order"
            )
    if all(n.isdecimal() for n in own) and [int(n) for n in own] != sorted(int(n) for n in own):
        few = ", ".join(f"{c} = {name}" for c, name in list(zip(columns, classes, strict=True))[:4])
        return [f"the numbers of the columns do not ascend, and --classes names them as they stand: {few}, ..."]
    return []


def score_matrix(batch: pa.RecordBatch, plan: Plan) -> tuple[NDArray[np.floating[Any]], dict[str, NDArray[np.bool_]]]:
    """
    Return the scores of a batch, one row of the matrix a class, and the rows that cannot be scored, by reason.

    A score that is missing stands as NaN in the matrix.
    """
    n = batch.num_rows
    missing, words = np.zeros(n, bool), np.zeros(n, bool)
    unscored: dict[str, NDArray[np.bool_]] = {}
    if plan.is_list:
        column = batch.column(plan.columns[0])
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        missing |= pc.is_null(column).to_numpy(zero_copy_only=False)
        wrong = (lengths != plan.scores) & ~missing
        if wrong.any():
            unscored[f"not {plan.scores} scores"] = wrong
        whole = ~missing & ~wrong
        values = column.filter(pa.array(whole)).flatten()
        x = np.full((n, plan.scores), np.nan, plan.dtype)
        x[whole] = _floats(values, plan.dtype).reshape(-1, plan.scores)
        nulls = values.is_null().to_numpy(zero_copy_only=False).reshape(-1, plan.scores).any(axis=1)
        missing[np.flatnonzero(whole)[nulls]] = True
        matrix = x.T
    else:
        matrix = empty_matrix((len(plan.columns), n), plan.dtype)
        for row, name in zip(matrix, plan.columns, strict=True):
            column = batch.column(name)
            if not is_numeric(column.type):
                column, wrong = _parsed(column, plan.dialect)
                words |= wrong
            row[:] = _floats(column, plan.dtype)
            if column.null_count:
                missing |= column.is_null().to_numpy(zero_copy_only=False)
    unscored[NO_NUMBER] = words
    unscored["a score is missing"] = missing & ~words
    settled = missing | words
    for rows in unscored.values():
        settled |= rows
    with np.errstate(invalid="ignore", over="ignore"):
        usual = np.isfinite(matrix.sum())  # which every NaN and infinity ends up in
    if not usual:
        unscored["a score is NaN"] = np.isnan(matrix).any(axis=0) & ~settled
        settled |= unscored["a score is NaN"]
        infinite = np.isinf(matrix) if plan.kind != "softmax" else matrix == np.inf
        unscored["a score is infinite"] = infinite.any(axis=0) & ~settled
        settled |= unscored["a score is infinite"]
        if plan.kind == "softmax":  # -inf beside finite scores is an impossible class
            unscored["every score is -inf"] = (matrix == -np.inf).all(axis=0) & ~settled
    return matrix, {reason: rows for reason, rows in unscored.items() if rows.any()}


def empty_matrix(shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """
    Return a matrix with nothing in it yet.

    It lies in Arrow's pool, because fresh pages for each batch would take longer than its softmax; and its lines are a little farther
    apart than they are long, because lines a power of two apart would all want the same few places of the cache.
    """
    pitch = shape[1] + 64 // dtype.itemsize
    buffer = pa.allocate_buffer(shape[0] * pitch * dtype.itemsize)
    found: NDArray[Any] = np.frombuffer(buffer, dtype).reshape(shape[0], pitch)[:, : shape[1]]
    return found


def _parsed(column: pa.Array, dialect: Dialect) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return the numbers in a column of words, null where there is none; and where there is a word that is no number."""
    if pa.types.is_null(column.type):
        return column.cast(pa.float64()), np.zeros(len(column), bool)
    trimmed = pc.utf8_trim_whitespace(column)
    numbers = pc.match_substring_regex(trimmed, f"^({dialect.number().pattern})$", ignore_case=True)
    empty = pc.fill_null(pc.is_in(trimmed, _MISSING.cast(trimmed.type)), True)
    empty = pc.or_(empty, pc.invert(column.is_valid()))
    wrong = pc.and_(pc.invert(pc.fill_null(numbers, True)), pc.invert(empty))
    plain = pc.if_else(numbers, trimmed, pa.scalar(None, trimmed.type))
    if dialect.thousands is not None:
        plain = pc.replace_substring(plain, dialect.thousands, "")
    if dialect.decimal != ".":
        plain = pc.replace_substring(plain, dialect.decimal, ".")
    return pc.replace_substring_regex(plain, r"^\+", "").cast(pa.float64()), wrong.to_numpy(zero_copy_only=False)


def _floats(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype)
