"""Rows counted by their probability, in cells of its logit that merge in any order to the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.links import logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Cells", "Tally"]

TOGETHER = 1 << 18  # probabilities are counted together, of small batches
AT_ONCE = 1 << 22  # probabilities whose sums, in floats, are whole numbers below 2^53
ONE = 1 << 30  # a probability of 1, in the unit of the sums


@dataclass(frozen=True)
class Tally:
    """
    How often something happened that had a probability, by that probability in ascending order.

    Attributes
    ----------
    p : ndarray of shape (points,)
        The probability, or the mean of those that are counted together.
    rows : ndarray of int of shape (points,)
        How many had it.
    weight, happened : ndarray of shape (points,)
        Their weights, and those of the ones where it happened; without weights the numbers of both.
    squares, happened_squares : ndarray of shape (points,)
        The same of squared weights, which tell how much chance there is in the sums.
    """

    p: NDArray[np.float64]
    rows: NDArray[np.int64]
    weight: NDArray[np.float64]
    happened: NDArray[np.float64]
    squares: NDArray[np.float64]
    happened_squares: NDArray[np.float64]

    @classmethod
    def of_rows(cls, p: NDArray[np.float64], happened: NDArray[np.bool_]) -> Tally:
        """Return a point for each row."""
        order = np.argsort(p, kind="stable")
        ones, hits = np.ones(len(p)), happened[order].astype(np.float64)
        return cls(p[order], np.ones(len(p), np.int64), ones, hits, ones, hits)

    @property
    def is_weighted(self) -> bool:
        """Whether there are weights other than 1."""
        return bool((self.weight != self.rows).any() or (self.squares != self.rows).any())

    @property
    def share(self) -> float:
        """How often it happened."""
        return float(self.happened.sum() / self.weight.sum())

    def joined(self, parts: int) -> Tally:
        """Return neighbours counted together, so that there are about so many points of equal rows."""
        begins = np.flatnonzero(np.diff(self.rows.cumsum() * parts // max(int(self.rows.sum()), 1), prepend=-1))
        rows = np.add.reduceat(self.rows, begins)
        weight, happened, squares, hit_squares, sums = (
            np.add.reduceat(part, begins)
            for part in (self.weight, self.happened, self.squares, self.happened_squares, self.p * self.weight)
        )
        return Tally(sums / weight, rows, weight, happened, squares, hit_squares)


class Cells:
    """
    Probabilities and what became of them, counted in cells of the logit: batches merge, in any order to the same bits.

    Without weights all sums are whole numbers. With them the last digits may hang on the order of the batches.

    Parameters
    ----------
    lines : int, default 1
        How many probabilities a row has, each counted by itself.
    bits : int, default 16
        There are 2^bits cells a line. With 16 a cell is as wide as a 256th of its logit, with 12 as a 16th: the sums in it are exact.
    """

    def __init__(self, lines: int = 1, bits: int = 16) -> None:
        self.lines, self.bits = lines, bits
        size = lines << bits
        self._counted: NDArray[np.int64] = np.zeros((3, size), np.int64)  # rows, where it happened, the sum of p
        self._weighted: NDArray[np.float64] | None = (
            None  # rows; weight, where it happened, times p; squares, where it happened
        )
        self._waiting: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []  # rows that are not counted yet

    def add(self, p: NDArray[Any], happened: NDArray[np.bool_], weights: NDArray[np.float64] | None = None) -> None:
        """Count rows: of shape (rows,), or (rows, lines); the arrays are not changed afterwards."""
        if weights is not None:
            for chosen in _runs(len(p), self.lines):
                self._count_weighted(p[chosen], happened[chosen], weights[chosen])
            return
        self._waiting.append((p, happened))
        if sum(rows.size for rows, _ in self._waiting) >= TOGETHER:
            self._settled()

    def _settled(self) -> NDArray[np.int64]:
        """Count the rows that wait, of small batches many at once, and return all cells."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            p, happened = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            for chosen in _runs(len(p), self.lines):
                self._count(p[chosen], happened[chosen])
        return self._counted

    def _cell_of(self, p: NDArray[np.float64]) -> NDArray[np.int64]:
        # the upper bits of a float32, turned so that they ascend with it
        with np.errstate(divide="ignore"):
            bits = logit(p).astype(np.float32).view(np.int32) >> (32 - self.bits)
        cell = (bits ^ ((bits >> 31) | (1 << (self.bits - 1)))).astype(np.int64)
        if self.lines > 1:
            cell += np.arange(self.lines) << self.bits
        return cell.reshape(-1)

    def _count(self, p: NDArray[Any], happened: NDArray[np.bool_]) -> None:
        p = np.asarray(p, np.float64)
        size = self._counted.shape[1]
        cell = self._cell_of(p)
        not_so, so = np.bincount(2 * cell + happened.reshape(-1), minlength=2 * size).reshape(size, 2).T
        sums = np.bincount(cell, np.rint(p * ONE).reshape(-1), minlength=size).astype(np.int64)
        for k, part in enumerate((not_so + so, so, sums)):
            self._counted[k] += part

    def _count_weighted(self, p: NDArray[Any], happened: NDArray[np.bool_], weights: NDArray[np.float64]) -> None:
        p = np.asarray(p, np.float64)
        if self._weighted is None:
            self._weighted = np.zeros((6, self._counted.shape[1]))
        cell, size = self._cell_of(p), self._counted.shape[1]
        w = np.repeat(weights, self.lines)
        so, p = happened.reshape(-1), p.reshape(-1)
        for k, part in enumerate((w > 0, w, w * so, w * p, w * w, w * w * so)):
            self._weighted[k] += np.bincount(cell, part, minlength=size)

    def tally(self, line: int = 0) -> Tally:
        """Return the cells that hold a row, in ascending order of the probability."""
        chosen = slice(line << self.bits, (line + 1) << self.bits)
        counted = self._settled()[:, chosen]
        filled = np.flatnonzero(counted[0] if self._weighted is None else counted[0] + self._weighted[1, chosen])
        rows, so, sums = counted[:, filled]
        weight, happened, squares, happened_squares = (part.astype(np.float64) for part in (rows, so, rows, so))
        total = sums / ONE
        if self._weighted is not None:
            more = self._weighted[:, chosen][:, filled]
            rows = rows + more[0].astype(np.int64)
            weight, happened, total = weight + more[1], happened + more[2], total + more[3]
            squares, happened_squares = squares + more[4], happened_squares + more[5]
        return Tally(total / weight, rows, weight, happened, squares, happened_squares)

    def by_logit(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """
        Return rows, and those where it happened, between whole numbers of the logit, which are edges of cells too.

        Returns
        -------
        edges, rows, happened : ndarray
            The numbers, one more than there are parts, from -16 to 16 at most; what lies farther out is in the first or the last part.
        """
        counted = self._settled()[:, : 1 << self.bits]
        filled = np.flatnonzero(counted[0])
        top = self.bits - 1
        bits = np.where(filled >> top, filled ^ (1 << top), ~filled).astype(np.int32) << (32 - self.bits)
        part = np.clip(np.floor(bits.view(np.float32)), -16, 15).astype(np.int64)
        first, last = (int(part.min()), int(part.max())) if part.size else (0, 0)
        rows, happened = (np.bincount(part - first, n[filled], last - first + 1).astype(np.int64) for n in counted[:2])
        return np.arange(first, last + 2), rows, happened

    def state(self) -> dict[str, list[Any]]:
        """Return the cells that hold a row, as JSON has them."""
        counted = self._settled()
        filled = np.flatnonzero(counted[0])
        rows, so, sums = counted[:, filled].tolist()
        found = {"cell": filled.tolist(), "rows": rows, "hits": so, "sums": sums}
        if self._weighted is not None:
            filled = np.flatnonzero(self._weighted[1])
            found |= {"weighted_cell": filled.tolist(), "weighted": self._weighted[:, filled].tolist()}
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"lines": self.lines, "bits": self.bits, "state": self.state()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__init__(kept["lines"], kept["bits"])  # type: ignore[misc]
        self.merge(kept["state"])

    def merge(self, state: dict[str, list[Any]]) -> None:
        """Add cells that were counted elsewhere."""
        parts = [state[name] for name in ("rows", "hits", "sums")]
        self._settled()[:, state["cell"]] += np.asarray(parts, np.int64).reshape(3, -1)
        if "weighted" in state:
            if self._weighted is None:
                self._weighted = np.zeros((6, self._counted.shape[1]))
            self._weighted[:, state["weighted_cell"]] += np.asarray(state["weighted"], np.float64).reshape(6, -1)


def _runs(rows: int, lines: int) -> list[slice]:
    step = max(AT_ONCE // lines, 1)
    return [slice(begin, begin + step) for begin in range(0, rows, step)]
