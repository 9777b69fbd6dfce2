"""How long sigmax and the libraries beside it take on this machine, and how right they are."""

from sigmax.bench.speed import Cell, Result, cells, measure, setting, table_head, table_line, use_cores, use_level

__all__ = ["Cell", "Result", "cells", "measure", "setting", "table_head", "table_line", "use_cores", "use_level"]
