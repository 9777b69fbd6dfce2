"""The README: its examples run, and what it shows of the command is what the command prints."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import readme

from sigmax import bench
from sigmax.bench.peers import FUNCTIONS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_examples_run():
    test = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    assert len(test.examples) >= 6
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", ["explain", "score"])
def test_the_shown_output_is_the_real_output(name):
    shown = re.search(
        rf"<!-- {name}: begin -->\n```console\n\$ sigmax (.*?)\n(.*?)```\n<!-- {name}: end -->", README, re.DOTALL
    )
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "sigmax", *shown[1].split()]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=True)
    assert [line.rstrip() for line in done.stdout.splitlines()] == shown[2].splitlines()


def rows_of(name):
    table = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", README, re.DOTALL)[1]
    lines = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return lines[0], lines[2:]


def test_the_table_of_speed_has_every_cell_that_is_shown_at_both_levels():
    head, rows = rows_of("speed")
    assert [name for name in head if name.endswith(": ns")] == ["v3: ns", "v4: ns"]
    shown = [str(cell).split(" ", 2) for cell in bench.cells() if readme.is_shown(cell)]
    assert [row[:3] for row in rows] == shown
    for row in rows:
        assert all(float(cell) > 0 for cell in row[3:] if cell)
        assert "" not in row[3:]


def test_the_table_of_accuracy_has_every_function_with_a_peer():
    head, rows = rows_of("accuracy")
    assert head[2:] == ["sigmax", "jax", "numpy", "scipy", "torch"]
    assert sorted(row[:2] for row in rows) == sorted([f, d] for f in FUNCTIONS for d in ("float32", "float64"))
    for row in rows:
        assert 0 < float(row[2]) < 2
        assert float(row[2]) <= min(float(cell) for cell in row[3:] if cell)
