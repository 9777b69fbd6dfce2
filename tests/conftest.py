"""Shared by all tests: the option for the slow ones, Hypothesis' settings, and threads that leave the cores to other tests."""

import os
from pathlib import Path

import hypothesis
import pytest

# Threads of libraries that look for work take the cores from the tests beside them, a fifth of all that the suite takes. Read when a library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# These first, each in half a minute or more, so that where workers share the files none is left with one of them at the end.
LONGEST = [
    f"test_{name}"
    for name in [
        "explore",
        "jax",
        "torch",
        "cli",
        "door",
        "plots",
        "torch_samples",
        "kernels",
        "conformance",
        "special",
        "volume",
        "calibration",
        "logistic",
    ]
]

hypothesis.settings.register_profile("suite", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="also run the tests that take minutes or gigabytes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--run-slow"):
        slow = [item for item in items if "slow" in item.keywords]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if "slow" not in item.keywords]
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def examples():
    return Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def cluster():
    """Two workers, in processes of their own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, worker_dashboard_address=None
    ) as started:
        yield started
