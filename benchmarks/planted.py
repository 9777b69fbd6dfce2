"""
NumPy's and scikit-learn's own tests, from their wheels, with sigmax planted in them: ``python -m benchmarks planted``.

NumPy's tests of all ufuncs find sigmax's among NumPy's; scikit-learn's losses, calibration, mixtures, networks and boosting work with sigmax's
functions in place of SciPy's and its own. Each file runs twice, with and without: what fails in both is not ours. Ends with status 1 if a
test fails with sigmax alone, for no reason that stands here.
"""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEVIATIONS", "SUITES", "Suite", "main", "reason_of", "run"]


@dataclass(frozen=True)
class Suite:
    """
    Modules of tests in one package.

    Attributes
    ----------
    plant : str
        What puts sigmax in, before the tests are collected.
    modules : tuple of str
        The modules or packages that hold the tests.
    only : str
        Of which tests, by pytest's ``-k``; '' for all.
    """

    plant: str
    modules: tuple[str, ...]
    only: str = ""


SUITES = {
    "numpy": Suite(
        """
import numpy as np
from sigmax.host.links import LINKS

for name, ufunc in LINKS.items():
    np._core.umath.__dict__[name] = ufunc
    setattr(np, name, ufunc)

# Where a result is infinite, and outside the domain, an error is not spurious: as for NumPy's own log.
INSIDE = {
    "logit": lambda p: 0 < p < 1,
    "odds": lambda p: 0 <= p < 1,
    "from_odds": lambda o: o >= 0,
    "log1mexp": lambda x: x < 0,
    "logitexp": lambda x: x < 0,
}

def due(item):
    given = getattr(item, "callspec", None)
    if given is None or "data" not in given.params or "ufunc" not in given.params:
        return False
    inside = INSIDE.get(given.params["ufunc"].__name__, lambda x: True)
    return not all(x != x or inside(x) for x in given.params["data"])

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not due(item)]
""",
        ("numpy._core.tests.test_ufunc", "numpy._core.tests.test_umath"),
        " or ".join(("sigmoid", "softplus", "logit", "odds", "log1mexp")),
    ),
    "scikit-learn": Suite(
        """
import scipy.special
import sigmax, sigmax.special

for name in sigmax.special.__all__:
    setattr(scipy.special, name, getattr(sigmax.special, name))

import sklearn.utils.extmath

def softmax(X, copy=True):
    return sigmax.softmax(X, axis=1, out=None if copy else X)

sklearn.utils.extmath.softmax = softmax

import sklearn.calibration, sklearn.linear_model._logistic, sklearn.neural_network._base as networks

def inplace_softmax(X):
    sigmax.softmax(X, axis=1, out=X)

networks.inplace_softmax = networks.ACTIVATIONS["softmax"] = inplace_softmax
assert sklearn.calibration.expit is networks.logistic_sigmoid is sigmax.sigmoid
assert sklearn.linear_model._logistic.softmax is softmax
""",
        (
            "sklearn._loss",
            "sklearn.tests.test_calibration",
            "sklearn.mixture",
            "sklearn.neural_network.tests.test_base",
            "sklearn.neural_network.tests.test_mlp",
            "sklearn.neural_network.tests.test_rbm",
            "sklearn.linear_model.tests.test_logistic",
            "sklearn.linear_model.tests.test_linear_loss",
            "sklearn.ensemble.tests.test_gradient_boosting",
            "sklearn.ensemble._hist_gradient_boosting",
            "sklearn.decomposition.tests.test_online_lda",
            "sklearn.utils.tests.test_extmath",
        ),
    ),
    "scikit-learn's calibrated classifiers": Suite(
        """
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.calibration
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.svm import LinearSVC
from sigmax.calibration import CalibratedModel, Calibrator

METHODS = {"sigmoid": "platt", "isotonic": "isotonic", "temperature": "temperature"}

class CalibratedClassifierCV(CalibratedModel):
    # Theirs, with a model and a calibrator of ours; an ensemble of models is nothing that we have.
    def __init__(self, estimator=None, *, method="sigmoid", cv=None, n_jobs=None, ensemble="auto"):
        self.estimator, self.method, self.cv, self.n_jobs, self.ensemble = estimator, method, cv, n_jobs, ensemble

    @property
    def model(self):
        given = LinearSVC(random_state=0) if self.estimator is None else self.estimator
        return given.estimator if isinstance(given, FrozenEstimator) else clone(given)

    @property
    def calibrator(self):
        return Calibrator(METHODS[self.method])

    def fit(self, X, y, sample_weight=None, **more):
        if self.method not in METHODS or (isinstance(self.cv, int) and self.cv > len(y)):
            raise ValueError
        if self.ensemble is not False and not isinstance(self.estimator, FrozenEstimator):
            pytest.skip("an ensemble")
        super().fit(X, y, sample_weight, **more)
        one = SimpleNamespace(estimator=self.model_, predict_proba=self.predict_proba, calibrators=[self.calibrator_])
        temperature = getattr(self.calibrator_.map_, "temperature", np.inf)
        self.calibrator_.beta_ = 1 / temperature if temperature else np.inf  # 0 where scores tell classes apart
        self.calibrated_classifiers_ = [one]
        return self

sklearn.calibration.CalibratedClassifierCV = CalibratedClassifierCV
""",
        ("sklearn.tests.test_calibration",),
    ),
    "scikit-learn's logistic regression": Suite(
        """
import pytest
from sigmax.regression import LogisticRegression as Ours

class LogisticRegression(Ours):
    # Ours with the names of their parameters; an l1 penalty and the dual problem are nothing that we have.
    def __init__(self, penalty="deprecated", *, C=1.0, l1_ratio=0.0, dual=False, tol=1e-4, fit_intercept=True, intercept_scaling=1,
                 class_weight=None, random_state=None, solver="lbfgs", max_iter=100, verbose=0, warm_start=False, n_jobs=None):
        given = locals()
        for name in self._names():
            setattr(self, name, given[name])
        self.penalties, self.standard_errors = None, False

    def fit(self, X, y, sample_weight=None):
        if self.l1_ratio not in (0, None) or self.penalty in ("l1", "elasticnet") or self.dual:
            pytest.skip("another objective")
        asked, self.tol = self.tol, 1e-13
        try:
            return super().fit(X, y, sample_weight)
        finally:
            self.tol = asked

def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item.module, "LogisticRegression"):
            item.module.LogisticRegression = LogisticRegression
""",
        ("sklearn.linear_model.tests.test_logistic",),
    ),
}

# What fails with sigmax alone, and why that is meant. Nothing else may fail.
DEVIATIONS: dict[str, str] = {
    "test_calibration_ensemble_false": "the digits of fits without a ridge, and of scikit-learn's own folds",
    "test_calibrated_classifier_cv_double_sample_weights_equivalence": "folds are drawn by rows, however often a row counts",
    "test_dtype_match": "coefficients are float64 for float32 features too",
    "test_max_iter|test_zero_max_iter": "Newton's method arrives where theirs warn, and takes a step at least",
    "test_large_sparse_matrix|test_liblinear_with_large_values": "what a solver of theirs cannot do",
    "test_check_solver_option|test_penalty_none|test_l1_ratio_None|warns_with_n_jobs": "warnings of parameters of theirs",
    "test_newton_cholesky_fallback_to_lbfgs": "there is nothing to fall back to",
    "test_c_inf_no_warning": "the classes are separable: without a penalty that is an error",
    "test_sparsify|callback|test_logreg_predict_proba_multinomial": "methods of theirs, private ones among them",
    "test_logistic_cv": "compared with their LogisticRegressionCV, which stops 1e-5 before the solution",
}


def reason_of(test: str) -> str:
    """Return why a test may fail; '' if it may not."""
    return next((reason for pattern, reason in DEVIATIONS.items() if re.search(pattern, test)), "")


def run(suite: Suite, module: str, *, planted: bool) -> dict[str, str]:
    """Run the tests of a module; return what became of each: passed, failed or error."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "planted_sigmax.py").write_text(suite.plant if planted else "", encoding="utf-8")
        paths = [folder, os.environ.get("PYTHONPATH", "")]
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"} | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths))
        }
        command = [sys.executable, "-m", "pytest", "-p", "planted_sigmax", "-q", "-rpfE", "--tb=no", "-p", "no:xdist"]
        command += ["-p", "no:cacheprovider", "--pyargs", module, *(["-k", suite.only] if suite.only else [])]
        done = subprocess.run(
            command, check=False, cwd=folder, capture_output=True, text=True, timeout=1800, env=environment
        )
    found = re.findall(r"^(PASSED|FAILED|ERROR) (\S*::.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if not found:
        raise RuntimeError(f"{module}: no test ran\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return {test.rpartition("/")[2]: kind.lower() for kind, test in found}


def main() -> None:
    """Run every module twice and print the counts."""
    unexplained = 0
    for package, suite in SUITES.items():
        counts: collections.Counter[str] = collections.Counter()
        for module in suite.modules:
            ours = run(suite, module, planted=True)
            failed = [test for test, kind in ours.items() if kind != "passed"]
            theirs = run(Suite(suite.plant, (module,)), module, planted=False) if failed else {}
            for test in failed:
                if theirs.get(test, "passed") != "passed":
                    counts["fail without sigmax too"] += 1
                elif reason := reason_of(test):
                    counts[f"fail: {reason}"] += 1
                else:
                    unexplained += 1
                    counts["fail FOR NO REASON"] += 1
                    print(f"    {test}")
            counts["pass"] += len(ours) - len(failed)
            print(f"{module}: {len(ours) - len(failed):,} of {len(ours):,} pass", flush=True)
        print(f"{package}: {'; '.join(f'{n:,} {what}' for what, n in counts.items())}")
    if unexplained:
        sys.exit(1)
