"""The benchmark: its references are right, its table says what was measured."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import misses
from benchmarks.marks import between
from family import DTYPES, NAMES
from reference import Row, ulps
from test_cli import printed, refused

import sigmax
from sigmax import bench
from sigmax.bench import speed
from sigmax.bench.peers import FUNCTIONS, calls


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_errors_of_sigmax_are_small_and_those_of_a_wrong_result_are_not(function, dtype):
    shape = (500,) if function in speed.ELEMENTWISE else (50, 10)
    cell = bench.Cell(function, dtype, shape)
    x = speed.inputs(cell)
    assert x.dtype == DTYPES[NAMES.index(dtype)]
    y = next(calls(function, x)).result()
    assert 0 < speed.largest_error(cell, x, y) <= 1
    assert (
        speed.largest_error(
            cell, x, np.nextafter(np.nextafter(y, 9), 9) if y.dtype.itemsize > 2 else y * y.dtype.type(1.5)
        )
        > 1
    )


def test_the_references_in_long_double_agree_with_flint():
    x = np.random.default_rng(0).normal(size=(20, 7)) * 5
    for name in ("softmax", "log_softmax", "logsumexp"):
        found = speed.exact(name, x, 1)
        for i, row in enumerate(x):
            true = Row(row)
            for k in range(7):
                value = true.logsumexp if name == "logsumexp" else getattr(true, name)(k)
                assert ulps(float(found[i] if name == "logsumexp" else found[i, k]), value, np.float64) <= 0.51


def test_a_cell_is_measured(monkeypatch):
    # PyTorch and JAX, where they are installed, would leave their threads in this process, in which other tests fork
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "jax") else find(name))
    result = bench.measure(bench.Cell("softmax", "float32", (50, 10)), rounds=1)
    assert result.ours > 0
    assert {"numpy", "scipy"} <= set(result.ratios)
    assert result.against_fastest == min(result.ratios.values())
    assert result.errors["sigmax"] < 1 < result.errors["numpy"]
    words = bench.table_line(result).split(" | ")
    assert words[0] == "| softmax"
    assert words[2] == "50 x 10"
    assert len(words) == len(bench.table_head().splitlines()[0].split(" | "))


def test_the_command_prints_a_line_for_each_cell_it_measures():
    text = printed("bench", "--only", "sigmoid float32 10", "--rounds", "1")
    assert f"sigmax {sigmax.__version__} ({sigmax.cpu_level()})" in text
    assert text.splitlines()[1].startswith("| function | dtype |")
    assert sum(line.startswith("| sigmoid | float32 | 10 |") for line in text.splitlines()) == 1


def test_what_cannot_be_measured_is_refused():
    assert "only 'sigmoid int3'" in refused("bench", "--only", "sigmoid int3")
    cores = len(os.sched_getaffinity(0))
    assert f"1 to {cores} cores" in refused("bench", "--threads", str(cores + 1))


def test_the_benchmark_is_not_imported_with_the_package():
    program = "import sys, sigmax; print('sigmax.bench' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_level_holds_all_libraries_and_others_are_refused():
    command = [
        sys.executable,
        "-m",
        "sigmax",
        "bench",
        "--level",
        "v3",
        "--only",
        "softmax float32 10",
        "--rounds",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "(v3)" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1].startswith("| softmax | float32 | 10 |")
    with pytest.raises(ValueError, match="the level is 'v5'; peers can be held to 'v3' or 'v4'"):
        bench.use_level("v5")


def test_the_table_has_the_levels_side_by_side_and_the_fastest_peer_in_bold():
    from benchmarks.speed import error_range, table

    cell = bench.Cell("softmax", "float32", (50, 10))
    by_level = {
        "v3": [bench.Result(cell, 0.5, {"numpy": 9.0, "torch": 1.25}, {"sigmax": 0.5, "numpy": 70.0, "torch": 2.0})],
        "v4": [bench.Result(cell, 0.25, {"numpy": 8.0, "torch": 8.5}, {"sigmax": 0.75, "numpy": 70.0, "torch": 2.0})],
    }
    head, rule, line = (row.split("|")[1:-1] for row in table(by_level).splitlines())
    assert len(head) == len(rule) == len(line)
    found = dict(zip((h.strip() for h in head[:6]), (w.strip() for w in line), strict=False))
    assert found == {
        "function": "softmax",
        "dtype": "float32",
        "shape": "50 x 10",
        "ulp": speed.short_ulps(0.75),
        "peers' ulp": error_range([2.0, 70.0]),
        "v3: ns": "**0.500**",
    }
    bold = [w.strip() for w in line if "**" in w]
    assert bold == ["**0.500**", "**1.25**", "**0.250**", "**8.00**"]


def test_the_page_lists_every_cell_that_misses_its_bar():
    page = (Path(__file__).parent.parent / "docs" / "speed.md").read_text()
    assert between(page, "misses") == misses.table(page)
    for why in {reason for *_, reason in misses.misses(page)}:
        named = "elementwise float64" if why.startswith("elementwise") else why
        assert f"- **{named}**" in page, why


def test_a_cell_misses_its_bar_beside_the_peer_that_it_is_set_against():
    def line(function, dtype, shape, **ratios):
        return misses.Line(function, dtype, shape, "1", "v3", ratios)

    for cell, bars in (
        (line("softmax", "float32", "100,000 x 10"), {"jax": 2, "numpy": 5, "scipy": 5, "torch": 5}),
        (line("logsumexp", "float64", "20,000 x 100"), dict.fromkeys(speed.LIBRARIES, 1.3)),
        (line("softmax", "float32", "32 x 32,000"), dict.fromkeys(speed.LIBRARIES, 1.2)),
        (line("softmax", "float32", "300 x 40 x 25, axis 1"), dict.fromkeys(speed.LIBRARIES, 1)),
        (line("logit", "float64", "20,000"), dict.fromkeys(speed.LIBRARIES, 1.3)),
        (line("sigmoid", "float32", "10"), dict.fromkeys(speed.LIBRARIES, 1)),
    ):
        assert cell.bars() == bars
    page = "<!-- one: begin -->\n| function | dtype | shape | v3: ns | jax | numpy | scipy | torch |\n|---|\n"
    page += "| softmax | float32 | 9 x 3 | **1.0** | 1.9 | 9.9 | | **4.00** |\n<!-- one: end -->\n<!-- all: begin -->\n| function | dtype | shape |\n<!-- all: end -->"
    ((found, peer, ratio, bar, why),) = misses.misses(page)
    assert (found.level, peer, ratio, bar, why) == ("v3", "jax", 1.9, 2.0, "few classes")
