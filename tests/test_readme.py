"""The README: its examples run, and what it shows of the command is what the command prints."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["speed", "accuracy"])
def test_the_tables_have_been_measured(name):
    table = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", README, re.DOTALL)[1]
    assert table.count("\n|") >= 8
    assert "**" in table
