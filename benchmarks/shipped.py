"""The tests that ship inside PyTorch and SciPy, on sigmax: ``python -m benchmarks shipped``. See :mod:`torch_samples` and :mod:`scipy_tests`."""

from __future__ import annotations

from benchmarks import scipy_tests, torch_samples

__all__ = ["main"]


def main() -> None:
    """Run both; either ends with status 1 where something differs for no known reason."""
    torch_samples.main()
    scipy_tests.main()
