"""NumPy's and scikit-learn's own tests with sigmax in them: those of all ufuncs, of the networks' bases and of calibrated classifiers; the command runs more."""

import pytest
from benchmarks.planted import SUITES, reason_of, run


@pytest.mark.parametrize(
    ("package", "module", "least"),
    [
        ("numpy", "numpy._core.tests.test_ufunc", 16),
        ("numpy", "numpy._core.tests.test_umath", 396),
        ("scikit-learn", "sklearn.neural_network.tests.test_base", 4),
        ("scikit-learn's calibrated classifiers", "sklearn.tests.test_calibration", 53),  # 69 where matplotlib is there
    ],
)
def test_they_pass(package, module, least):
    found = run(SUITES[package], module, planted=True)
    assert len(found) >= least
    assert [test for test, kind in found.items() if kind != "passed" and not reason_of(test)] == []
