"""``sigmax bench``: time and error beside the libraries that are installed."""

from __future__ import annotations

from sigmax.cli.app import JUDGE, app, examples
from sigmax.errors import InputError

__all__ = ["bench"]


@app.command(group=JUDGE, help_epilogue=examples("sigmax bench --only 'softmax float32'"))
def bench(*, only: str = "", threads: int = 1, rounds: int = 15, level: str = "") -> None:
    """
    Time sigmax beside the libraries that are installed: NumPy, SciPy, PyTorch, JAX.

    Each line shows nanoseconds per element, how many times as long each library takes (the median of rounds in which all take
    turns), and the largest error of each in units in the last place; 0.5 is perfect rounding.

    Parameters
    ----------
    only : str
        Lines that contain this, as in 'softmax float32'.
    threads : int
        Cores that every library may use.
    rounds : int
        Rounds to take the median of.
    level : str
        The CPU level that all libraries keep to, so that a newer CPU shows what an older one would: v3 (AVX2) or v4 (AVX-512).
        JAX, NumPy, PyTorch and sigmax each have a setting for it.
    """
    from sigmax import bench as benchmark

    benchmark.use_level(level)
    chosen = [cell for cell in benchmark.cells() if only in str(cell)]
    if not chosen or rounds < 1:
        raise InputError(f"nothing to measure: only '{only}' of {len(benchmark.cells())} cells, {rounds} rounds")
    benchmark.use_cores(threads)
    print(benchmark.setting(threads), benchmark.table_head(), sep="\n")
    for cell in chosen:
        print(benchmark.table_line(benchmark.measure(cell, rounds)), flush=True)
