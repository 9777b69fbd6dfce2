"""Damaged files of every format: the command ends with one line, or with the right answer. `python -m benchmarks hostile` gives it thousands."""

import random

import pytest
from benchmarks.hostile import COMMANDS, cases, damaged, good_files, verdict, watched


def test_good_files_are_good_and_the_damage_is_the_same_each_time():
    files = good_files()
    assert {name: damaged(data, random.Random(1)) for name, data in files.items()} == {
        name: damaged(data, random.Random(1)) for name, data in good_files().items()
    }
    assert len({data for _, _, data, _ in cases(0, 10)}) > 9 * len(files)


@pytest.mark.parametrize(
    ("ended", "wrong"),
    [
        ((0, "rows 3", ""), ""),
        ((0, "", "Warning: look"), ""),
        ((2, "", "sigmax: x.csv is empty"), ""),
        ((2, "", "sigmax: say which:\n    sigmax score x.csv --columns a"), ""),
        ((1, "", "sigmax: x"), "status 1"),
        ((-11, "", ""), "status -11"),
        ((2, "", "Traceback (most recent call last)"), "a traceback"),
        ((2, "", "sigmax: a\nsecond"), "no single line"),
        ((2, "", ""), "no single line"),
        ((0, "", "RuntimeWarning"), "an error and status 0"),
        ((2, "", "sigmax: \x1b[31m"), "a character that steers the terminal"),
        ((0, "\x07", ""), "a character that steers the terminal"),
    ],
)
def test_what_counts_as_ending_badly(ended, wrong):
    assert verdict(*ended) == wrong


def test_damaged_files_end_well():
    assert set(COMMANDS) == {"score", "found", "write", "report", "plot"}
    assert list(watched(7, 12, 0, 12 * len(good_files()))) == []
