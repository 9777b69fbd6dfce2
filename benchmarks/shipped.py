"""The tests that ship inside PyTorch, SciPy, NumPy and scikit-learn, on sigmax: ``python -m benchmarks shipped``; see the modules it runs."""

from __future__ import annotations

from benchmarks import planted, scipy_tests, torch_samples

__all__ = ["main"]


def main() -> None:
    """Run them; each ends with status 1 where something differs for no known reason."""
    torch_samples.main()
    scipy_tests.main()
    planted.main()
