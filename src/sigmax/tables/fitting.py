"""
Regression on files: one look to see what the columns hold, a sample to start from, then passes over all rows.

The unit of all sums is a block of rows, counted from the beginning of a part of a file; sums are joined in a tree of the blocks of a part, and of
the parts. So neither threads nor workers nor how many rows are read at once change a bit, and a part that is lost with its worker is done again.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sigmax.regression.dense import Dense
from sigmax.regression.errors import covariance_by
from sigmax.regression.newton import FEW, Dual, Objective, Point, duality_gap, inverse_of, minimise
from sigmax.regression.rows import Sums, joined, lent_by, minimise_rows
from sigmax.regression.scaling import Scaling
from sigmax.regression.separation import SeparationError, least_norm, separated
from sigmax.regression.strength import best_penalty
from sigmax.tables.columns import asked_columns
from sigmax.tables.errors import TableError
from sigmax.tables.families import is_row_name
from sigmax.tables.features import Column, Features, is_feature, is_words
from sigmax.tables.files import expand, format_of, keys_of
from sigmax.tables.model import Model
from sigmax.tables.sources import open_source, parts_of
from sigmax.tables.survey import (
    MOST_CLASSES,
    Fitting,
    Piece,
    Reading,
    Survey,
    distinct_labels,
    one_batch,
    refuse_no_categories,
)
from sigmax.tables.workers import in_order, use_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Fitted", "Fitting", "fit_files"]

Floats = Any
KEPT = 1 << 28  # bytes of features that stay in memory from pass to pass
MOST = 200  # steps


@dataclass(frozen=True)
class Fitted:
    """
    A model, and how it was found.

    Attributes
    ----------
    model : Model
    rows : int
        That it was fitted to.
    left_out : dict of str to int
        Rows that were not, by the reason.
    passes : int
        How often all files were read: to see what they hold, and to fit. 1 where the rows are kept in memory.
    looks : int
        How often all rows were looked at.
    steps : int
        Newton's.
    gap, decrement : float
        As :class:`sigmax.regression.LogisticRegression` has them, in nats a row.
    C : float
    log_loss : float
        Of the rows that it was fitted to: it is lower than that of new ones.
    shares : dict of str to float
        The share of each class.
    deviations : ndarray of shape (features,)
        Of the features.
    notes : list of str
        What makes it doubtful that the columns are what they were taken for.
    """

    model: Model
    rows: int
    left_out: dict[str, int]
    passes: int
    looks: int
    steps: int
    gap: float
    decrement: float
    C: float
    log_loss: float
    shares: dict[str, float]
    deviations: NDArray[np.float64]
    notes: list[str]


@dataclass(frozen=True)
class _Made:
    """How a block becomes rows of a regression; it travels to the workers of a cluster."""

    features: Features
    classes: tuple[Any, ...]
    penalty: NDArray[np.float64]
    scaling: Scaling
    narrow: bool
    trusted: bool

    def rows(self, reading: Reading, batch: pa.RecordBatch) -> Dense:
        encoded = self.features.encode(batch, np.float32 if self.narrow else np.float64, trusted=self.trusted)
        places, values = distinct_labels(batch.column(str(reading.fitting.label)))
        known = {c: k for k, c in enumerate(self.classes)}
        y = np.array([known[v] for v in values] or [0], np.int64)[places]
        targets = y.astype(np.float64) if len(self.classes) == 2 else y
        return Dense(encoded.matrix.T, targets, reading.weights(batch), None, self.penalty, self.scaling)


@dataclass
class _Leads:
    low: float
    high: float

    def __add__(self, other: _Leads) -> _Leads:
        return _Leads(min(self.low, other.low), max(self.high, other.high))


@dataclass
class _Both:
    """What a pass finds, and the features' sums with the targets, if they were asked for."""

    sums: Sums
    targets: Floats

    def __add__(self, other: _Both) -> _Both:
        return _Both(self.sums + other.sums, self.targets + other.targets)


def _losses(rows: Dense, theta: Floats, *, curvature: bool, with_targets: bool) -> _Both:
    if not rows.x.shape[0]:
        none = np.zeros((theta.size,) * 2) if curvature else None
        return _Both(Sums(0.0, 0.0, 0.0, np.zeros(rows.shape), none, math.inf), np.zeros(rows.shape))
    whole = slice(None)
    targets = rows.sums(whole, rows.weights[:, None] * rows.target(whole), None, None)[0] if with_targets else 0.0
    return _Both(rows.found(theta, None, curvature=curvature), targets)


def _leads(rows: Dense, direction: Floats) -> _Leads:
    return _Leads(*rows.leads(direction)) if rows.x.shape[0] else _Leads(math.inf, -math.inf)


def _gram(rows: Dense) -> Floats:
    return rows.gram()


@dataclass
class _Point(Point):
    sums: Sums


class _Files(Objective):
    """All rows of the files."""

    is_hard = True

    def __init__(self, each: Callable[[Callable[[Dense], Any]], Any], made: _Made, total: float) -> None:
        self.each, self.scaling, self.given = each, made.scaling, made.penalty
        self.shape = (made.penalty.shape[0], made.penalty.shape[1])
        self.penalty = made.scaling.inner_penalty(made.penalty)
        self.total = total
        self.bent_at: Floats | None = None
        self.of_targets: Floats | None = None
        of_features = self.penalty[:-1]
        self.may_separate = bool((of_features == 0).any() and ((of_features == 0) | np.isinf(of_features)).all())

    def at(self, theta: Floats, *, curvature: bool) -> _Point:
        first = self.of_targets is None  # what does not change is found on the way
        ask = functools.partial(_losses, theta=theta, curvature=curvature, with_targets=first)
        both: _Both = self.each(ask)
        found = both.sums
        if first:
            self.of_targets = both.targets
        if found.hessian is not None:
            self.bent_at = found.hessian.copy()
        return _Point(theta, found.losses, found.pulled, found)

    def hessian(self, point: _Point) -> Floats | None:
        return point.sums.hessian

    def bent(self, point: _Point, v: Floats) -> Floats:
        raise NotImplementedError  # there are few enough coefficients

    def around(self, point: _Point) -> Callable[[Floats], Floats]:
        raise NotImplementedError

    def bounded(self, g: Floats) -> Floats:
        columns = self.shape[1]
        bent = np.kron(self.gram() * 0.5, np.eye(columns))
        return -inverse_of(bent, self.penalty)[0](g)

    def is_separated(self, point: _Point) -> bool:
        return self.may_separate and point.sums.ahead > 0

    def gap(self, point: _Point) -> float:
        if (self.penalty[:-1] == 0).any() or self.of_targets is None:
            return math.nan
        of_q = self.of_targets
        ones = np.append((self.scaling.mean - self.scaling.shift) * self.scaling.scale, 1.0) * self.total
        dual = Dual(point.sums.entropy, point.pulled + of_q, of_q[-1], ones)
        return duality_gap(point, self.penalty, dual, self.total)

    def leads(self, direction: Floats) -> tuple[float, float]:
        found: _Leads = self.each(functools.partial(_leads, direction=direction))
        return found.low, found.high

    def gram(self) -> Floats:
        return self.each(_gram)


def fit_files(
    source: str | Path | Sequence[str | Path],
    fitting: Fitting,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """
    Fit logistic or softmax regression to the rows of files.

    Parameters
    ----------
    source : path, or sequence of paths
        Files, folders (with all table files below them) and globs.
    fitting : Fitting
        What is fitted to what.
    workers : int, optional
        How many threads read; default: as many as there are cores.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers do the work; they must see the files under the same paths.
    progress : callable, optional
        Called with (done, all) after each part of a pass.

    Returns
    -------
    Fitted
        The same bits for any number of threads and workers.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used.
    SeparationError
        Without a penalty, if the features tell the classes apart without an error.
    """
    if fitting.label is None:
        raise TableError("a regression needs the classes: name their column with --label")
    files, root = expand(source)
    pieces, kinds = _pieces(files, root, fitting)
    reading = Reading(fitting, kinds)
    with contextlib.ExitStack() as stack:
        run = _runner(stack, workers, scheduler, pieces, progress)
        survey: Survey = joined(run(reading.survey, ()))
        classes, names = _classes(survey, fitting, files)
        refuse_no_categories(survey)
        _refuse_missing(survey, fitting)
        columns, scaling = _columns(survey, kinds, fitting)
        narrow = all(m.narrow for m in survey.numbers.values())
        trusted = not any(m.missing or m.infinite for m in survey.numbers.values())
        strength = 0.0 if fitting.C == "auto" else 1 / float(fitting.C)
        features = Features(columns)
        twice = next((n for n, count in Counter(features.names).items() if count > 1), None)
        if twice is not None:
            raise TableError(
                f"two features would be called '{twice}': rename a column, or leave one out with --without"
            )
        width = 1 if len(classes) == 2 else len(classes)
        size = (len(features.names) + 1) * width
        if size > FEW:
            raise TableError(
                f"{len(features.names):,} features and {len(classes)} classes make {size:,} weights; from files there may be {FEW:,}: choose features "
                "with --features, or fit sigmax.regression.LogisticRegression in memory"
            )

        def made(strength: float) -> _Made:
            penalty = np.full((len(features.names), width), strength)
            if fitting.C == "auto":
                penalty *= np.where(scaling.deviation > 0, scaling.deviation, 1.0)[:, None] ** 2
            return _Made(features, classes, np.vstack([penalty, np.zeros((1, width))]), scaling, narrow, trusted)

        total = float(survey.weight)
        sample = one_batch(survey.sample)
        if fitting.C == "auto":

            def of_sample(strength: float, rows: Any = slice(None)) -> Dense:
                whole = made(strength).rows(reading, sample)
                return Dense(whole.x[rows], whole.targets[rows], whole.weights[rows], None, whole.given, scaling)

            strength = best_penalty(of_sample, sample.num_rows)
        how = made(strength)
        start = lent = None
        if sample.num_rows < survey.rows:
            some = how.rows(reading, sample)
            share = float(some.weights.sum()) / total
            smaller = Dense(some.x, some.targets, some.weights, None, some.given * share, scaling)
            of_some = minimise_rows(smaller, certified=1e-6)
            start, lent = of_some.theta, lent_by(of_some, share)
        in_memory = survey.rows * len(features.names) * (4 if narrow else 8) <= KEPT and scheduler is None
        kept: list[list[Dense]] = []
        reads = 1

        def each(ask: Callable[[Dense], Any]) -> Any:
            nonlocal reads
            if kept:
                return joined([joined([ask(rows) for rows in blocks]) for blocks in kept])
            reads += 1
            if in_memory:
                kept.extend(run(functools.partial(_keep, reading, how), ()))
                return each(ask)
            return joined(run(_on_piece, (reading, how, ask)))

        objective = _Files(each, how, total)
        solution = minimise(objective, start=start, lent=lent, certified=1e-12, tolerance=1e-17, most=MOST)
        free = bool((objective.penalty[:-1] == 0).any())
        if free and (led := separated(objective, solution)) is not None:
            raise SeparationError.of(led, features.names, names)
        theta = least_norm(objective, solution.theta) if free and solution.singular else solution.theta
        given = scaling.outer(theta)
        errors = None
        if objective.bent_at is not None:
            covariance = covariance_by(objective, objective.bent_at)
            errors = np.sqrt(np.maximum(np.diag(covariance), 0)).reshape(objective.shape)[:-1].T
        left = solution.gap if math.isfinite(solution.gap) else solution.decrement
        about = {
            "fitted_to": str(source) if isinstance(source, str | Path) else f"{len(files)} files",
            "rows": survey.rows,
            "gap": solution.gap,
            "C": math.inf if strength == 0 else 1 / strength,
            "auto": fitting.C == "auto",
            "log_loss": solution.point.losses / total,
        }
        about["C"] = about["C"] if math.isfinite(about["C"]) else "inf"
        model = Model(
            features, names, np.ascontiguousarray(given[:-1].T), given[-1].copy(), errors, scaling.deviation, about
        )
    if not left <= 1e-6:
        raise TableError(
            f"{solution.steps} steps leave a gap of {left:.1e} nats a row: give a C that is nearer to 1, or leave out columns with numbers beyond 1e100"
        )
    return Fitted(
        model,
        survey.rows,
        dict(survey.left_out),
        reads,
        solution.passes,
        solution.steps,
        solution.gap,
        solution.decrement,
        math.inf if strength == 0 else 1 / strength,
        solution.point.losses / total,
        {n: survey.labels[c][1] / total for n, c in zip(names, classes, strict=True)},
        scaling.deviation,
        _doubts(sample, kinds),
    )


def _doubts(sample: pa.RecordBatch, kinds: dict[str, bool]) -> list[str]:
    """Return which columns may be the names of rows: another whole number in each."""
    found = []
    for name, words in kinds.items():
        x = None if words or sample.num_rows < 50 else sample.column(name).to_numpy(zero_copy_only=False)
        if x is None or not np.isfinite(x).all() or (x != np.rint(x)).any() or np.unique(x).size < len(x):
            continue
        if name.lower().endswith(("id", "name", "names", "no", "nr", "number", "index")) or (np.diff(x) > 0).all():
            found.append(
                f"'{name}' has another whole number in every row: if it is a row's name, leave it out with --without {name}"
            )
    return found


def _on_piece(piece: Piece, reading: Reading, made: _Made, ask: Callable[[Dense], Any]) -> Any:
    """Return the sum of what is asked of the blocks of a piece."""
    return joined([ask(made.rows(reading, batch)) for batch, _ in reading.blocks(piece)])


def _keep(reading: Reading, made: _Made, piece: Piece) -> list[Dense]:
    return [made.rows(reading, batch) for batch, _ in reading.blocks(piece)]


def _pieces(files: list[Path], root: Path | None, fitting: Fitting) -> tuple[list[Piece], dict[str, bool]]:
    """Return the parts of all files, and which columns of the first are features: of each whether it holds words."""
    pieces: list[Piece] = []
    kinds: dict[str, bool] = {}
    columns: tuple[str, ...] = ()
    for path in files:
        keys = keys_of(path, root)
        with open_source(path, None, dialect=fitting.dialect, keys=keys) as source:
            schema = source.schema
        if not kinds:
            kinds = _feature_columns(schema, fitting, path)
            columns = (*kinds, str(fitting.label), *([fitting.weights] if fitting.weights is not None else []))
        _check_columns(schema, columns, kinds, path)
        types = {}
        if format_of(path) == "csv":
            for f in schema:
                if f.name in keys or f.name not in columns or f.name == fitting.weights:
                    continue
                words = f.name == fitting.label or kinds[f.name]
                types[f.name] = pa.string() if words else f.type if pa.types.is_boolean(f.type) else pa.float64()
        of_file = (keys, types, fitting.dialect, columns, kinds, str(fitting.label))
        pieces += [Piece(path.absolute(), part, *of_file) for part in parts_of(path)]
    return pieces, kinds


def _check_columns(schema: pa.Schema, columns: Sequence[str], kinds: dict[str, bool], path: Path) -> None:
    """Refuse a file whose columns do not go with those of the first."""
    for name in columns:
        count = schema.names.count(name)
        if count != 1:
            told = (
                f"there is no column '{name}', which the first file has"
                if not count
                else f"two columns are called '{name}'; rename one"
            )
            raise TableError(f"{path}: {told}")
        kind = schema.field(name).type
        if name in kinds and not kinds[name] and is_words(kind):
            raise TableError(
                f"{path}: column '{name}' holds words, and numbers in the first file; make both the same, or leave it out with --without {name}"
            )
        if name in kinds and not is_feature(kind) and not pa.types.is_null(kind):
            raise TableError(
                f"{path}: column '{name}' is {kind}, neither numbers nor words; leave it out with --without {name}"
            )


def _feature_columns(schema: pa.Schema, fitting: Fitting, path: Path) -> dict[str, bool]:
    for name in (fitting.label, fitting.weights):
        if name is not None and name not in schema.names:
            asked_columns(schema, [name], None)  # whose error names the nearest
    apart = {str(fitting.label), fitting.weights}
    if fitting.label == fitting.weights:
        raise TableError(f"'{fitting.label}' is both the label and the weights")
    chosen = [n for n in schema.names if n not in apart and not is_row_name(n)]
    if fitting.features:
        chosen = asked_columns(schema, fitting.features, fitting.label)
        for name, what in ((fitting.label, "the label"), (fitting.weights, "the weights")):
            if name in chosen:
                raise TableError(f"'{name}' is both a feature and {what}")
    if fitting.without:
        gone = set(asked_columns(schema, fitting.without, fitting.label))
        chosen = [n for n in chosen if n not in gone]
    twice = next((n for n in chosen if schema.names.count(n) > 1), None)
    if twice is not None:
        raise TableError(f"{path}: two columns are called '{twice}'; rename one")
    for name in chosen:
        kind = schema.field(name).type
        if not is_feature(kind) and not pa.types.is_null(kind):
            raise TableError(
                f"{path}: column '{name}' is {kind}, neither numbers nor words; leave it out with --without {name}"
            )
    if not chosen:
        raise TableError(f"{path}: there is no feature column beside the label")
    return {n: is_words(schema.field(n).type) for n in chosen}


def _runner(
    stack: contextlib.ExitStack,
    workers: int | None,
    scheduler: str | None,
    pieces: list[Piece],
    progress: Callable[[int, int], None] | None,
) -> Callable[[Callable[..., Any], tuple[Any, ...]], list[Any]]:
    """Return what runs a function on all pieces, here or on a cluster, and returns the results in their order."""
    if scheduler is None:
        pool = stack.enter_context(use_workers(workers))

        def results(function: Callable[..., Any], more: tuple[Any, ...]) -> Iterable[Any]:
            return in_order(pool, lambda piece: function(piece, *more), pieces)
    else:
        from sigmax.tables.cluster import connect, in_order_there

        client = stack.enter_context(connect(scheduler))

        def results(function: Callable[..., Any], more: tuple[Any, ...]) -> Iterable[Any]:
            return in_order_there(client, function, [(piece, *more) for piece in pieces])

    def run(function: Callable[..., Any], more: tuple[Any, ...]) -> list[Any]:
        found = []
        for one in results(function, more):
            found.append(one)
            if progress is not None:
                progress(len(found), len(pieces))
        return found

    return run


def _classes(survey: Survey, fitting: Fitting, files: list[Path]) -> tuple[tuple[Any, ...], list[str]]:
    """Return the classes in ascending order, and their names."""
    values = list(survey.labels)
    left = "; ".join(f"{n:,} rows {why}" for why, n in survey.left_out.items())
    reasons = f" ({left})" if left else ""
    if not survey.rows:
        raise TableError(f"{files[0] if len(files) == 1 else 'the files'}: there is no row to fit to{reasons}")
    if len(values) < 2:
        raise TableError(
            f"all rows have the class '{values[0]}' in '{fitting.label}'{reasons}; there must be two classes at least"
        )
    if len(values) > MOST_CLASSES:
        raise TableError(f"column '{fitting.label}' has more than {MOST_CLASSES:,} values: is it a class?")
    numbers = all(isinstance(v, int | float) for v in values)
    if any(isinstance(v, float) for v in values):
        odd = next(v for v in values if isinstance(v, float))
        raise TableError(
            f"column '{fitting.label}' holds {odd}, which is no class; a regression here tells classes apart"
        )
    ordered = sorted(values) if numbers else sorted(values, key=str)
    names = [str(v) for v in ordered]
    if len(set(names)) < len(names):
        raise TableError(f"two classes of '{fitting.label}' have one name")
    return tuple(ordered), names


def _refuse_missing(survey: Survey, fitting: Fitting) -> None:
    infinite = {n: m.infinite for n, m in survey.numbers.items() if m.infinite}
    if infinite:
        told = ", ".join(f"'{n}' ({count:,} rows)" for n, count in list(infinite.items())[:8])
        raise TableError(
            f"infinite values in {told}: leave these rows out with --on-bad drop, or these columns with --without"
        )
    if fitting.missing == "mean":
        empty = [n for n, m in survey.numbers.items() if not m.weight]
        if empty:
            raise TableError(f"column '{empty[0]}' has no value in any row; leave it out with --features")
        return
    missing = {n: m.missing for n, m in survey.numbers.items() if m.missing} | {
        n: c for n, c in survey.absent.items() if c
    }
    if missing:
        told = ", ".join(f"'{n}' ({count:,} rows)" for n, count in list(missing.items())[:8])
        more = f" and {len(missing) - 8} more columns" if len(missing) > 8 else ""
        raise TableError(
            f"values are missing in {told}{more}: take the mean and an indicator with --missing mean, leave these rows out with --on-bad drop, or these "
            "columns with --without"
        )


def _columns(survey: Survey, kinds: dict[str, bool], fitting: Fitting) -> tuple[tuple[Column, ...], Scaling]:
    """Return what becomes of each column, and how its features are scaled."""
    columns: list[Column] = []
    means: list[float] = []
    deviations: list[float] = []
    total = survey.weight
    for name, words in kinds.items():
        if words:
            count = survey.words[name]
            categories = tuple(sorted(count))
            may_miss = bool(survey.absent[name])
            columns.append(Column(name, categories, None, may_miss))
            shares = [float(count[c] / float(total)) for c in categories]
            shares += [max(1 - sum(shares), 0.0)] if may_miss else []
        else:
            m = survey.numbers[name]
            filled = fitting.missing == "mean" and m.missing > 0
            mean = float(m.mean)
            columns.append(Column(name, None, mean if filled else None))
            means.append(mean)
            deviations.append(float(np.sqrt(m.square / total)))
            shares = [float(1 - m.weight / total)] if filled else []
        means += shares
        deviations += [math.sqrt(max(p * (1 - p), 0.0)) for p in shares]
    centre, spread = np.array(means), np.array(deviations)
    spread = np.where(spread <= 1e-14 * np.abs(centre), 0.0, spread)
    return tuple(columns), Scaling(centre.copy(), 1 / np.where(spread > 0, spread, 1.0), centre, spread)
