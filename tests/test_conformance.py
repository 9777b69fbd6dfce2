"""Every library against the contract, cell by cell."""

import warnings
from pathlib import Path

import pytest
from conformance import BACKENDS, CASES, GROUPS, backend, run


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("key", BACKENDS)
def test_conforms(key, group):
    cases = [case for case in CASES if case.name == group]
    applicable = [case for case in cases if not backend(key).without(case)]
    if key == "jax":  # the same code as under jit, which runs all; `python -m benchmarks conformance` runs all of both
        applicable = applicable[:: max(1, len(applicable) // 4)]
    failed = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ignored in (RuntimeWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", ignored)
        for case in applicable:
            try:
                run(key, case)
            except (Exception, pytest.fail.Exception) as error:
                options = ", ".join(f"{k}={'array' if hasattr(v, 'shape') else v}" for k, v in case.options.items())
                call = f"{case.function}({case.x.dtype} {case.x.shape}{', ' * bool(options)}{options})"
                failed.append(f"{call}: {type(error).__name__}: {str(error).splitlines()[0]}")
    assert not failed, f"{len(failed)} of {len(applicable)} cases\n" + "\n".join(failed[:12])


def test_the_page_shows_every_library_and_every_group():
    page = (Path(__file__).parent.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
    head = next(line for line in page.splitlines() if line.startswith("| |"))
    assert head == "| | " + " | ".join(backend(key).name for key in BACKENDS) + " |"
    for group in GROUPS:
        cells = next(line for line in page.splitlines() if line.startswith(f"| {group} |")).split("|")[2:-1]
        for key, cell in zip(BACKENDS, cells, strict=True):
            run_here = sum(not backend(key).without(case) for case in CASES if case.name == group)
            assert cell.strip().partition("&nbsp;")[0] == (str(run_here) if run_here else "–"), (key, group)
