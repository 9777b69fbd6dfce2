"""A job on one of many files: what is asked, what the first file has settled for the others, and the plan for this one."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from sigmax.tables.columns import make_plan
from sigmax.tables.errors import AmbiguousError, TableError
from sigmax.tables.families import ENOUGH, Table, is_numeric

if TYPE_CHECKING:
    from pathlib import Path

    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job
    from sigmax.tables.rules import Rule, Settled
    from sigmax.tables.sources import Source

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """
    A job among files.

    Parameters
    ----------
    job : Job
    root : str, optional
        The folder below which others may name keys, as in date=2026-01-01/.
    patterns : tuple of str
        What `columns` was before the first file settled it.
    first : (str, tuple of str, str), optional
        The name of the first file, its columns, and what its numbers are.
    rule : Rule, optional
        What is decided of each row.
    """

    job: Job
    root: str | None = None
    patterns: tuple[str, ...] = ()
    first: tuple[str, tuple[str, ...], Literal["logits", "probabilities"]] | None = None
    rule: Rule | None = None

    def settled(self, plan: Plan, file: Path) -> Task:
        """Return the task for the other files, with what the first one settled."""
        if self.job.model is not None:  # which settles it all
            return dataclasses.replace(self, job=self.job)
        return dataclasses.replace(
            self,
            job=dataclasses.replace(self.job, columns=tuple(plan.columns), kind=plan.kind, classes=tuple(plan.classes)),
            patterns=self.job.columns,
            first=(file.name, tuple(n for n, _ in plan.left_out), plan.form),
        )

    def _compare(self, schema: pa.Schema, plan: Plan, file: Path) -> None:
        """Refuse a file with a score column that the first one has not: its class would be lost."""
        name, others, form = self.first or ("", (), "logits")
        known = {*others, *plan.columns, plan.label}
        new = [f.name for f in schema if f.name not in known]
        if self.patterns:
            extra = [n for n in new if any(fnmatch.fnmatchcase(n, pattern) for pattern in self.patterns)]
        else:
            extra = [n for n in new if is_numeric(schema.field(n).type)]
        if plan.form != form:
            raise TableError(f"{file} holds {plan.form}, and {name} {form}; say with --form what all are")
        if extra:
            raise TableError(
                f"{file} has the numeric column '{extra[0]}', which {name} has not: "
                "say with --columns which columns are the scores of all files"
            )

    def plan(self, source: Source, first: pa.RecordBatch | None, file: Path) -> Plan:
        """Settle what to do with a file; refuse a first row in place of a header."""
        twice = next((n for n, count in Counter(source.schema.names).items() if count > 1), None)
        if not source.sure:
            self._check_header(source.schema, first, file)
        if twice is not None:
            raise TableError(f"{file}: two columns are called '{twice}'; rename one")
        schema = pa.schema([f for f in source.schema if f.name not in source.keys or f.name == self.job.label])
        apart = dict(source.others).get(self.job.label or "")
        if apart is not None:
            raise TableError(f"{file}: '{self.job.label}' is {apart}, and does not go with the rows of the scores")
        table = Table(schema, first, source.named, source.typed, self.job.label, self.job.dialect)
        try:
            plan = make_plan(table, self.job)
        except AmbiguousError:
            raise
        except TableError as error:
            if self.first is None:
                raise
            raise TableError(f"{file}: {error}") from None
        if self.first is not None:
            if self.job.form == "auto" and first is not None and first.num_rows < ENOUGH:  # too few to tell
                plan = dataclasses.replace(plan, form=self.first[2])
            self._compare(schema, plan, file)
        more = [(k, "of the folder") for k in source.keys if k != self.job.label]
        return dataclasses.replace(
            plan,
            left_out=[*plan.left_out, *more, *source.others],
            labels_in=self.job.labels.name if self.job.labels else "",
            rule=None if self.rule is None else _settled(self.rule, plan),
        )

    def _check_header(self, schema: pa.Schema, first: pa.RecordBatch | None, file: Path) -> None:
        """Refuse a CSV file whose first line may be a row: numbers, and not those that number columns of fractions."""
        is_number = self.job.dialect.number().fullmatch
        numbers = {n: f.type for n, f in zip(schema.names, schema, strict=True) if is_number(n.strip())}
        once = len(set(schema.names)) == len(schema.names)
        asked = {*self.job.columns, self.job.label} & set(schema.names)
        if not numbers or any(n not in numbers for n in asked):
            return
        places = sorted(int(n) for n in numbers if n.isdecimal())
        counted = len(places) == len(numbers) and places in (list(range(len(places))), list(range(1, len(places) + 1)))
        fractions = first is not None and any(not pa.types.is_integer(t) for t in numbers.values())
        if once and counted and (self.job.columns or fractions):
            return
        row = ", ".join(schema.names[:6]) + (", ..." if len(schema.names) > 6 else "")
        raise TableError(
            f"{file}: the first line ({row}) looks like a row, not like the names of columns: "
            "say --no-header if it is one, --header if it is not"
        )


def _settled(rule: Rule, plan: Plan) -> Settled:
    if plan.kind == "multilabel":
        raise TableError("decisions are made on one class a row, and these are scores of many labels")
    return rule.settled(plan.classes)
