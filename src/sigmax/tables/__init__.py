"""Tables of scores: read in record batches, scored, written again, so that memory does not grow with the file."""

from sigmax.tables.diagnosis import Diagnosis
from sigmax.tables.dialect import Dialect
from sigmax.tables.errors import AmbiguousError, Reading, TableError
from sigmax.tables.run import ScoredBatches, score, score_files
from sigmax.tables.score import Summary, score_file

__all__ = [
    "AmbiguousError",
    "Diagnosis",
    "Dialect",
    "Reading",
    "ScoredBatches",
    "Summary",
    "TableError",
    "score",
    "score_file",
    "score_files",
]
