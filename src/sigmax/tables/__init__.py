"""Tables of scores: read in record batches, scored, written again, so that memory does not grow with the file."""

from sigmax.tables.diagnosis import Diagnosis
from sigmax.tables.files import TableError
from sigmax.tables.run import ScoredBatches, score, score_files
from sigmax.tables.score import Summary, score_file

__all__ = ["Diagnosis", "ScoredBatches", "Summary", "TableError", "score", "score_file", "score_files"]
