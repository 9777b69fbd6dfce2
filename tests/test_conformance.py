"""Every library against the contract, cell by cell."""

from pathlib import Path

import pytest
from conformance import BACKENDS, CASES, GROUPS, backend, conforms


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("key", [key for key in BACKENDS if key != "torch-kernels"])  # which interpreted.py runs
def test_conforms(key, group):
    conforms(key, group)


def test_the_page_shows_every_library_and_every_group():
    page = (Path(__file__).parent.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
    head = next(line for line in page.splitlines() if line.startswith("| |"))
    assert head == "| | " + " | ".join(backend(key).name for key in BACKENDS) + " |"
    for group in GROUPS:
        cells = next(line for line in page.splitlines() if line.startswith(f"| {group} |")).split("|")[2:-1]
        for key, cell in zip(BACKENDS, cells, strict=True):
            run_here = sum(not backend(key).without(case) for case in CASES if case.name == group)
            assert cell.strip().partition("&nbsp;")[0] == (str(run_here) if run_here else "–"), (key, group)
