"""What is asked of score files: the one list of options, for Python and for the command."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from sigmax.calibration.given import Form
from sigmax.calibration.noticed import Kind
from sigmax.tables.dialect import Dialect
from sigmax.tables.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Form", "Job", "Kind", "OnBad", "Options", "job_of", "told_apart"]

OnBad = Literal["null", "drop", "fail"]


@dataclass(frozen=True)
class Job:
    """
    What of a file are the scores, and what they stand for.

    Parameters
    ----------
    columns : list of str
        Names or globs ('score_*') of the score columns, or the name of one list column. Default: the family of columns that share a
        name but for the class (score_0, score_1, ...; logit_cat, logit_dog), or are named as the values of the label, or are all that
        the file has. Where another numeric column could be a score too, nothing is guessed: an error names the readings to choose from.
    label : str
        The column that holds the true class, called as the columns call it (1, 1.0, "1" and True are one name); by number from 0
        where the scores have no names: in a list, in .npy, without a header, for a sigmoid.
    labels : Path
        A file that holds the true classes, one a row, where the scores' file does not: y.npy beside x.npy.
    kind : {'softmax', 'sigmoid', 'multilabel'}
        softmax: one class of many. sigmoid: one score for two classes. multilabel: a sigmoid for each score.
        Default: one score is a sigmoid, several are a softmax.
    classes : list of str
        Names of the classes, in the order of the scores; for a sigmoid, the negative class first. Default: what tells
        the column names apart.
    temperature : float
        What the scores are divided by: above 1 flattens, below 1 sharpens.
    on_bad : {'null', 'drop', 'fail'}
        What becomes of a row with a score that is missing, NaN, infinite or no number: no probabilities, no row, or an error.
        They are counted, and the first few shown. -inf beside finite scores is an impossible class, and not bad. Default: null,
        but a word among the numbers of a column is an error.
    model : Path
        A regression that sigmax fit wrote: the columns are its features, and the scores those that it makes of them.
    calibration : Path
        A calibrator that sigmax calibrate wrote: the probabilities are those of the scores that it makes of these.
    form : {'auto', 'logits', 'log-probabilities', 'probabilities'}
        What the numbers are; auto tells by their values. Probabilities are taken as they are. Default: scores are logits, and numbers that look
        like probabilities are refused; where a model is judged or calibrated, auto.
    as_scores : bool
        Take numbers that look like probabilities, percentages or log-probabilities, which are refused, for scores.
    dialect : Dialect
        How CSV files are written, where that is not noticed.
    """

    columns: tuple[str, ...] = ()
    label: str | None = None
    labels: Path | None = None
    kind: Kind | None = None
    classes: tuple[str, ...] = ()
    temperature: float = 1.0
    on_bad: OnBad | None = None
    model: Path | None = None
    calibration: Path | None = None
    form: Form | None = None
    as_scores: bool = False
    dialect: Dialect = field(default_factory=Dialect)

    def __post_init__(self) -> None:
        """Check what can be checked without a file, and bring it into the types above."""
        for name, value, known in (("kind", self.kind, Kind), ("on_bad", self.on_bad, OnBad)):
            if value is not None and value not in get_args(known):
                raise TableError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, get_args(known)))}")
        if self.form is not None and self.form not in get_args(Form):
            raise TableError(f"form is {self.form!r}; it must be one of {', '.join(map(repr, get_args(Form)))}")
        if self.form == "probabilities" and (self.temperature != 1 or self.calibration is not None):
            raise TableError("probabilities are taken as they are; leave the temperature and the calibration away")
        if self.label is not None and not isinstance(self.label, str):
            raise TableError(f"label is {self.label!r}; pass the name of the column that holds the true classes")
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, Real):
            raise TableError(f"temperature is {self.temperature!r}; it must be a number, at least 0")
        if not self.temperature >= 0:
            raise TableError(f"the temperature is {self.temperature}; it must be at least 0")
        told = [name for name in ("columns", "kind") if getattr(self, name)] + (
            ["form"] if self.form == "probabilities" else []
        )
        if self.model is not None and told:
            raise TableError(f"a model knows its columns and what it makes of them; leave {told[0]} away")
        if self.calibration is not None and self.temperature != 1:
            raise TableError(
                "a calibrator has its own temperature; leave out either the temperature or the calibration"
            )
        if not isinstance(self.as_scores, bool | np.bool_):
            raise TableError(f"as_scores is {self.as_scores!r}; it must be True or False")
        if not isinstance(self.dialect, Dialect):
            raise TableError(f"dialect is {self.dialect!r}; pass a Dialect, as in Dialect(delimiter=';')")
        classes = [self.classes] if isinstance(self.classes, str) else _listed("classes", self.classes)
        settled = {
            "columns": _words("columns", self.columns),
            "classes": _words("classes", [str(c) if isinstance(c, int) else c for c in classes]),
            "labels": _path("labels", self.labels),
            "model": _path("model", self.model),
            "calibration": _path("calibration", self.calibration),
            "temperature": float(self.temperature),
            "as_scores": bool(self.as_scores),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """Return the job as text, paths whole, for :meth:`from_json` in another process."""
        found = dataclasses.asdict(self)
        for name in ("labels", "model", "calibration"):
            found[name] = None if found[name] is None else str(found[name].resolve())
        found["temperature"] = str(self.temperature)  # JSON has no infinity
        return json.dumps(found)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job that a text describes."""
        found = json.loads(text)
        return cls(**{**found, "temperature": float(found["temperature"]), "dialect": Dialect(**found["dialect"])})


class Options(TypedDict, total=False):
    """The same by keyword, as :class:`Job` has them; None is the default."""

    columns: Sequence[str]
    label: str | None
    labels: str | Path | None
    kind: Kind | None
    classes: Sequence[str]
    temperature: float
    on_bad: OnBad | None
    model: str | Path | None
    calibration: str | Path | None
    form: Form | None
    as_scores: bool
    dialect: Dialect | None


def told_apart(job: Job) -> Job:
    """Return the job of judging a model: what the numbers are is told by their values where nothing was said."""
    return job if job.form is not None or job.as_scores else dataclasses.replace(job, form="auto")


def job_of(job: Job | None, options: Any) -> Job:
    """Return the job, with the options that are given beside it in place of its own."""
    if job is not None and not isinstance(job, Job):
        raise TypeError(
            f"the second argument is {job!r}, which is no Job; name what it is, as in output='probabilities.csv'"
        )
    known = [f.name for f in dataclasses.fields(Job)]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
            raise TypeError(f"there is no option '{name}': {meant}")
    given = {k: v for k, v in options.items() if not (k == "dialect" and v is None)}
    return dataclasses.replace(job or Job(), **given)


def _path(what: str, value: Any) -> Path | None:
    if value is not None and not isinstance(value, str | os.PathLike):
        raise TableError(f"{what} is a {type(value).__name__}; pass the path of a file")
    return None if value is None else Path(value)


def _listed(what: str, words: Any) -> list[Any]:
    try:
        return list(words)
    except TypeError:
        raise TableError(f"{what} is {words!r}; pass a list of names") from None


def _words(what: str, words: Any) -> tuple[str, ...]:
    found = [words] if isinstance(words, str) else _listed(what, words)
    for word in found:
        if not isinstance(word, str):
            raise TableError(f"{what} holds {word!r}, of type {type(word).__name__}; pass names")
    return tuple(found)
