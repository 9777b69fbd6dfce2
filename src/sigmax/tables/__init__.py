"""Tables of scores: read in record batches, scored, written again, so that memory does not grow with the file."""

import importlib as _importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigmax.tables.diagnosis import Diagnosis
    from sigmax.tables.dialect import Dialect
    from sigmax.tables.errors import AmbiguousError, Reading, TableError
    from sigmax.tables.job import Job
    from sigmax.tables.many import score_files
    from sigmax.tables.one import score_file
    from sigmax.tables.stream import ScoredBatches, score
    from sigmax.tables.summary import Summary

__all__ = [
    "AmbiguousError",
    "Diagnosis",
    "Dialect",
    "Job",
    "Reading",
    "ScoredBatches",
    "Summary",
    "TableError",
    "score",
    "score_file",
    "score_files",
]

# Where each name comes from, when it is first asked for: options are known without pyarrow, which takes a while to load.
_HOMES = {
    "AmbiguousError": "errors",
    "Diagnosis": "diagnosis",
    "Dialect": "dialect",
    "Job": "job",
    "Reading": "errors",
    "ScoredBatches": "stream",
    "Summary": "summary",
    "TableError": "errors",
    "score": "stream",
    "score_file": "one",
    "score_files": "many",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(_importlib.import_module(f"sigmax.tables.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sigmax.tables' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
