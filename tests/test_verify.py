"""The verifier, thinned, and the judge it relies on."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from family import BFLOAT16, LINKS, NAMES, in_domain
from reference import LINKS as EXACT
from reference import exact, ulps

import sigmax

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def verify():
    sys.path.insert(0, str(ROOT))
    from benchmarks import verify

    yield verify
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def judge(verify, tmp_path_factory):
    judge = verify._reference(verify._compile(str(tmp_path_factory.mktemp("judge")))).judge

    def verdict(name, x, y):
        found = verify._Verdict(worst=-1.0)
        data = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, y)]
        known = judge(name.encode(), NAMES.index(x.dtype.name), *data, ctypes.c_size_t(x.size), ctypes.byref(found))
        if not known:
            raise LookupError(name)
        return found

    return verdict


def test_no_bar_is_missed():
    """Every float16 and bfloat16, two million float32 and a hundred thousand float64 for each function; a hundred kinds of rows."""
    command = [sys.executable, "-m", "benchmarks", "verify", "--thin", "1000"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "0 bars missed" in done.stdout
    judged = {
        (m[1], m[2]): int(m[3].replace(",", ""))
        for m in re.finditer(r"^\| (.*?) \| (\w+) \| ([\d,]+) \|", done.stdout, re.M)
    }
    for name in LINKS:
        assert judged[name, "float16"] == judged[name, "bfloat16"] == 65536
        assert judged[name, "float32"] > 4_000_000
        assert judged[name, "float64"] == 100_000
    assert all(judged["softmax", dtype] > 500 for dtype in NAMES)


@pytest.mark.parametrize(
    "dtype", [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)], ids=NAMES
)
@pytest.mark.parametrize("name", LINKS)
def test_the_judge_agrees_with_flint(judge, name, dtype):
    rng = np.random.default_rng(8)
    x = in_domain(name, (rng.normal(size=200) * rng.choice([1e-3, 1, 5], 200)).astype(dtype))
    with np.errstate(divide="ignore"):
        y = getattr(sigmax, name)(x)
        neighbours = np.nextafter(y, dtype.type(7))
    for results, right in ((y, True), (neighbours, False)):
        for a, b in zip(x, results, strict=True):
            found = judge(name, np.array([a]), np.array([b]))
            if not np.isfinite(float(b)) or a in (0, 1):
                continue
            true = ulps(b, EXACT[name](exact(a)), dtype)
            assert abs(found.worst - true) <= 2e-3 * max(true, 1)
            if dtype != np.float64:
                assert found.wrong == (0 if right else true > 0.5)


def test_a_wrong_result_is_seen(judge):
    """One result in 65,536 changed by one unit."""
    x = np.arange(65536, dtype=np.uint16).view(np.float16)
    y = sigmax.sigmoid(x)
    assert judge("sigmoid", x, y).wrong == 0
    y[12345] = np.nextafter(y[12345], np.float16(2))
    found = judge("sigmoid", x, y)
    assert found.wrong == 1
    assert found.input == float(x[12345])
    y[12345] = np.nan
    assert judge("sigmoid", x, y).worst == np.inf


def test_a_part_found_anew_replaces_its_rows_of_the_page_and_no_others(verify):
    page = (ROOT / "docs" / "accuracy.md").read_text()
    (old,) = (line for line in page.partition("<!-- proof: end -->")[0].splitlines() if "| logit | float64 |" in line)
    new = "| logit | float64 | 1 |  | 0.123 | 1.0 | `x` |"
    assert verify.with_rows_of(f"| head |\n|---|\n{new}", page) == page.replace(old, new)


def test_functions_alone_may_be_judged(verify):
    assert {r.function for r in verify.verify(100_000, peers=False, only="odds")} == {"odds", "from_odds"}
    assert {r.function for r in verify.verify(20_000, peers=False, only="logit_softmax")} == {"logit_softmax"}


def test_a_function_without_an_exact_value_is_said(judge):
    with pytest.raises(LookupError, match="softsign"):
        judge("softsign", np.ones(1), np.ones(1))
