"""The package as its users meet it: names, documentation, what an import does."""

import doctest
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference import LINKS as EXACT

import sigmax
from sigmax import explain, host, links, losses, rows, special, sql, threads
from sigmax.arrays.foreign.formulas import Formulas
from sigmax.family import FAMILY, entry_of, names_of

ROOT = Path(__file__).parent.parent
SOURCE = Path(sigmax.__file__).parent
DOCUMENTED = [(module, name) for module in (sigmax, explain, special) for name in module.__all__ if not name.isupper()]


def test_all_is_what_is_public():
    assert sigmax.__all__ == sorted({"cpu_level", *links.__all__, *losses.__all__, *rows.__all__, *threads.__all__})
    public = {
        name for name, value in vars(sigmax).items() if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert public == set(sigmax.__all__)


def test_the_table_of_the_family_says_what_every_function_takes_and_gives():
    assert sorted(FAMILY) == sorted([*links.__all__, *losses.__all__, *rows.__all__])
    x = np.array([[0.25, 0.5, 0.75], [0.5, 0.25, 0.125]])
    for name, entry in FAMILY.items():
        function = getattr(sigmax, name)
        assert entry_of(function) is entry
        assert (entry.kind == "elementwise") == isinstance(function, np.ufunc)
        taken = {} if isinstance(function, np.ufunc) else inspect.signature(function).parameters
        assert entry.over_rows == ("axis" in taken)
        labels = {"two classes": (x,), "loss": (np.array([0, 2]),)}.get(entry.kind, ())
        assert entry.labelled == bool(labels)
        for options in ({}, {"return_sign": True}) if "return_sign" in taken else ({},):
            with np.errstate(all="ignore"):
                results = function(x, *labels, **options)
            shapes = [np.shape(r) for r in (results if isinstance(results, tuple) else (results,))]
            assert shapes == [{"score": x.shape, "row": x.shape[:1]}[place] for place in entry.places(options)]


def test_what_people_call_takes_what_the_work_takes():
    for name, work in host.FUNCTIONS.items():
        if not isinstance(work, np.ufunc):
            shown, taken = (inspect.signature(f).parameters.values() for f in (getattr(sigmax, name), work))
            assert [(p.name, p.kind, p.default) for p in shown] == [(p.name, p.kind, p.default) for p in taken]


def test_no_layer_forgets_a_function():
    """The places that CONTRIBUTING names for a new function; the exact values and the special ones are asked for by other tests."""
    torch_calls = importlib.import_module("sigmax.arrays.torch.calls")
    assert sorted(host.FUNCTIONS) == sorted(torch_calls.FUNCTIONS) == sorted(FAMILY)
    for name in FAMILY:
        for page in ("docs/contract.md", "docs/reference.md", "README.md"):
            assert name.removesuffix("_and_grad") in (ROOT / page).read_text(), (name, page)
    for name in names_of("elementwise", "per class"):
        assert callable(getattr(Formulas, name))
    for name in names_of("elementwise", "per class", "per row"):
        assert f"MACRO {name}(" in sql.MACROS
    assert sorted(EXACT) == sorted(names_of("elementwise"))


def test_modules_are_loaded_by_name_where_that_is_told():
    """A string hides an import from the tools that draw the layers: these few load adapters, commands, parts of the package and peers on demand."""
    found = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"import_module\(|__import__\(", path.read_text())
    }
    assert found == {"__init__.py", "dispatch.py", "bench/speed.py", "cli/__init__.py", "tables/__init__.py"}


def test_the_version_has_one_source():
    assert importlib.metadata.version("sigmax") == sigmax.__version__


@pytest.mark.parametrize(("module", "name"), DOCUMENTED)
def test_everything_public_is_documented_and_its_examples_run(module, name):
    value = getattr(module, name)
    assert value.__doc__
    if isinstance(value, type) or name == "cpu_level":
        return
    for section in ("Parameters", "Examples") if module is sigmax else ("Examples",):
        assert f"{section}\n" in value.__doc__
    test = doctest.DocTestParser().get_doctest(value.__doc__, {}, name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_importing_changes_nothing_and_brings_nothing():
    program = """
import os, sys, threading
before = dict(os.environ)
import numpy
loaded = set(sys.modules)
import sigmax
print(sorted({name.partition('.')[0] for name in set(sys.modules) - loaded if not name.startswith('_')} - set(sys.stdlib_module_names)))
print(before == dict(os.environ), threading.active_count())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['ml_dtypes', 'sigmax']", "True 1"]


def test_cpu_level_is_one_of_the_levels():
    assert sigmax.cpu_level() in ("baseline", "v3", "v4")


def test_results_survive_pickling_and_threads():
    import pickle
    from concurrent.futures import ThreadPoolExecutor

    x = np.random.default_rng(0).normal(size=(500, 10))
    wanted = sigmax.softmax(x)
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: sigmax.softmax(x), range(64)):
            np.testing.assert_array_equal(got, wanted)
    assert pickle.loads(pickle.dumps(sigmax.softmax)) is sigmax.softmax
