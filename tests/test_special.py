"""SciPy's own tests, from its wheel, on sigmax.special: unchanged but for the import."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.special

import sigmax
from sigmax import special

TESTS = Path(pytest.importorskip("scipy.special").__file__).parent / "tests"

# What fails there, and why that is meant. Nothing else may fail, and each of these must.
DEVIATIONS = {
    r"TestExpit::test_large$": "longdouble is refused",
    r"test_logsumexp_complex_sign": "complex numbers are refused",
    r"test_dtypes_ab?\[.*complex": "complex numbers are refused",
    r"test_gh21610": "complex numbers are refused",
    r"test_gh21709_small_imaginary": "complex numbers are refused",
    r"test_gh22601_infinite_elements\[.*(x\d|y\d|j\))": "complex numbers are refused",
    r"test_device\[.*1j": "complex numbers are refused",
}

# SciPy keeps a table of what each function supports; ours support the same.
CONFTEST = """
import scipy.special
import sigmax.special
from scipy._lib._array_api import xp_capabilities_table

for name in sigmax.special.__all__:
    known = xp_capabilities_table.get(getattr(scipy.special, name))
    if known is not None:
        xp_capabilities_table[getattr(sigmax.special, name)] = known
"""


def run(name, folder):
    text = (TESTS / f"{name}.py").read_text()
    lines = re.findall(r"^from scipy\.special import .*$", text, re.MULTILINE)
    assert len(lines) == 1
    (folder / f"{name}.py").write_text(text.replace(lines[0], lines[0].replace("scipy.special", "sigmax.special")))
    (folder / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-p", "scipy.conftest", "-q", "-rfEp", "--tb=no", f"{name}.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    return [
        re.findall(rf"^{kind} {name}\.py::(.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
        for kind in ("PASSED", "(?:FAILED|ERROR)")
    ]


@pytest.mark.parametrize(("name", "least"), [("test_logsumexp", 60), ("test_logit", 9)])
def test_scipys_own_tests_pass(name, least, tmp_path):
    passed, failed = run(name, tmp_path)
    assert len(passed) >= least, "the tests have not run"
    unexpected = [test for test in failed if not any(re.search(pattern, test) for pattern in DEVIATIONS)]
    assert not unexpected
    assert not [test for test in passed if any(re.search(pattern, test) for pattern in DEVIATIONS)]


def test_the_names_and_defaults_are_scipys():
    import inspect

    import scipy.special

    for name in special.__all__:
        theirs, ours = getattr(scipy.special, name), getattr(special, name)
        if isinstance(theirs, np.ufunc):
            assert isinstance(ours, np.ufunc)
            continue
        defaults = {k: p.default for k, p in inspect.signature(theirs).parameters.items() if k != "kwargs"}
        mine = {k: p.default for k, p in inspect.signature(ours).parameters.items()}
        assert list(mine) == [k for k in defaults if k in mine]
        assert all(mine[k] == defaults[k] for k in mine)


def test_all_axes_are_the_default():
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(special.softmax(x), sigmax.softmax(x, axis=(0, 1)))
    np.testing.assert_array_equal(special.log_softmax(x), sigmax.log_softmax(x, axis=(0, 1)))
    assert special.logsumexp(x) == sigmax.logsumexp(x, axis=(0, 1))
    assert special.softmax(5.0) == 1


def test_a_negative_sum_has_no_logarithm_without_its_sign():
    assert np.isnan(special.logsumexp([1.0, 2.0], b=[1, -1]))
    value, sign = special.logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    assert sign == -1
    np.testing.assert_allclose(value, 1 + np.log(np.expm1(1)), rtol=3e-16)
    with np.errstate(all="raise"):
        assert special.logsumexp([[3.0], [3.0]], b=[[1.0, 0.5], [-1.0, 2.0]], axis=0)[0] == -np.inf


@pytest.mark.parametrize("library", ["torch", "jax", "array_api_strict", "dask", "xarray", "pandas"])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_logsumexp_gives_the_users_kind_of_array(library):
    import array_api_strict
    import dask.array
    import jax.numpy
    import pandas
    import torch
    import xarray

    make = {
        "torch": torch.tensor,
        "jax": jax.numpy.asarray,
        "array_api_strict": array_api_strict.asarray,
        "dask": dask.array.from_array,
        "xarray": xarray.DataArray,
        "pandas": pandas.DataFrame,
    }[library]
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    x, w = make(a), make(np.abs(b))
    signed = make(b)
    for ours, theirs in [
        (special.logsumexp(x, axis=1), scipy.special.logsumexp(a, axis=1)),
        (special.logsumexp(x, axis=1, b=w), scipy.special.logsumexp(a, axis=1, b=np.abs(b))),
        (special.logsumexp(x, axis=1, b=signed), scipy.special.logsumexp(a, axis=1, b=b)),
        *zip(
            special.logsumexp(x, axis=1, b=signed, return_sign=True),
            scipy.special.logsumexp(a, axis=1, b=b, return_sign=True),
            strict=True,
        ),
    ]:
        assert type(ours).__module__.partition(".")[0] == (library if library != "jax" else "jaxlib")
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=2e-6)


def test_logsumexp_of_a_tensor_has_a_gradient():
    import torch

    a = torch.tensor([[1.0], [2.0]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    value = special.logsumexp(a, b=b)  # of the shape of both together
    assert torch.autograd.gradcheck(lambda a, b: special.logsumexp(a, b=b), (a, b[:2].detach().requires_grad_()))
    value.backward()
    assert value.item() == scipy.special.logsumexp(a.detach().numpy(), b=b.detach().numpy())
    torch.testing.assert_close(a.grad.sum(), torch.tensor(1.0, dtype=torch.float64))
    assert special.logsumexp(torch.tensor([1.0, 2.0]), b=torch.tensor([1.0, -1.0])).isnan()
