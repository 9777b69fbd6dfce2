"""The calibration error: the formula against a plain one, cells that merge, and that its intervals hold what they promise."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from benchmarks.coverage import draw

import sigmax
from sigmax.calibration import Cells, calibration_error, calibration_test, reliability
from sigmax.calibration.error import error_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("rows", [5, 37, 200, 3001])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0])
def test_it_is_the_debiased_square_in_bins_of_equal_rows(rows, temperature):
    p, right = draw(np.random.default_rng(rows), rows, temperature)
    found = calibration_error(p, right)
    # rows of one cell, the upper half of the bits of their logit, stay together
    cell = np.log(p / (1 - p)).astype(np.float32).view(np.uint32) >> 16
    bins, parts = [[]], max(min(15, rows // 5), 1)
    for group in sorted(({*cell.tolist()}), key=lambda c: p[cell == c].min()):
        if len(bins[-1]) * parts >= rows:
            bins.append([])
        bins[-1] += np.flatnonzero(cell == group).tolist()
    if len(bins) > 1 and len(bins[-1]) < 5:
        bins[-2:] = [bins[-2] + bins[-1]]
    total, by_chance, top, bottom, flat = 0.0, 0.0, 0.0, 0.0, 0.0
    for chosen in bins:
        m, w = len(chosen), len(chosen) / rows
        r = p[chosen] - right[chosen]
        noise = max(r.var(ddof=1), (p[chosen] * (1 - p[chosen])).mean()) / m
        excess = r.mean() ** 2 - noise
        total += w * excess
        by_chance += w * w * 2 * noise**2 * m / (m - 1)
        top += w * w * max(excess, 0) * noise
        bottom += w * max(excess, 0)
        flat += w * w * noise
    assert (found.rows, found.bins) == (rows, len(bins))
    assert found.squared == pytest.approx(total, rel=1e-3, abs=1e-6)
    growth = 4 * (top / bottom if bottom else flat)
    for end in {found.low, found.high} - {0.0, 1.0}:
        assert (found.squared - end**2) ** 2 == pytest.approx(1.959964**2 * (by_chance + growth * end**2), rel=1e-3)


def test_batches_merge_in_any_order_to_the_same_bits():
    p, right = draw(RNG, 5000, 1.5)
    cuts = [slice(0, 17), slice(17, 3000), slice(3000, 3000), slice(3000, 5000)]
    whole = calibration_error(p, right)
    for order in itertools.permutations(cuts):
        merged = Cells()
        for cut in order:
            part = Cells()
            part.add(p[cut], right[cut])
            merged.merge(part.state())
        assert error_of(merged.tally()) == whole
    shuffled = RNG.permutation(5000)
    assert calibration_error(p[shuffled], right[shuffled]) == whole


def test_many_rows_at_once_sum_to_the_same_bits():
    p = np.full(9_000_000, 0.9999) + np.linspace(0, 2e-7, 9_000_000)
    right = np.ones(p.size, bool)
    right[::9999] = False
    whole, parts = Cells(), Cells()
    whole.add(p, right)
    for part in np.array_split(np.arange(p.size)[::-1], 7):
        parts.add(p[part], right[part])
    assert error_of(whole.tally()) == error_of(parts.tally())


def test_cells_ascend_with_confidence_and_lose_no_row():
    p = np.concatenate([[0.0, 1.0, 0.5, 1e-300, 1 - 2**-53], RNG.random(1000)])
    one_each = []
    for value in np.sort(p):
        cells = Cells()
        cells.add(np.array([value]), np.array([True]))
        one_each += cells.state()["cell"]
    assert len(one_each) == p.size
    assert one_each == sorted(one_each)
    cells = Cells()
    cells.add(p, p > 0.5)
    found = cells.state()
    assert (sum(found["rows"]), sum(found["hits"])) == (p.size, (p > 0.5).sum())


# the six settings of the published measurement: the plug-in's bootstrap interval excluded 0 in 300 of 300 draws of the first three
@pytest.mark.parametrize(("rows", "temperature", "true"), [(200, 1, 0), (1000, 1, 0), (5000, 1, 0), (200, 0.8, 0.0713), (1000, 0.8, 0.0713), (5000, 0.8, 0.0713), (200, 1.25, 0.0764), (1000, 1.25, 0.0764), (5000, 1.25, 0.0764)])  # fmt: skip
def test_the_interval_holds_the_error(rows, temperature, true):
    rng = np.random.default_rng(rows)
    found = [calibration_error(*draw(rng, rows, temperature)) for _ in range(300)]
    covers = np.mean([e.low <= true <= e.high for e in found])
    assert covers >= 0.93  # of 95 %, less what 300 draws may miss by chance
    if true and rows == 5000:
        assert np.mean([e.is_found for e in found]) > 0.99


@pytest.mark.parametrize("scale", [6, 20, 100])
def test_confident_models_are_not_accused_either(scale):
    """Where nearly all are right the few errors may all be missing: their variance must not be taken for 0."""
    rng = np.random.default_rng(scale)
    found = [calibration_error(*draw(rng, rows, scale=scale)).is_found for rows in (60, 400, 2000) for _ in range(150)]
    assert np.mean(found) <= 0.06


@pytest.mark.parametrize(
    ("confidence", "right"), [(1.0, 0.99), (1.0, 0.999), (0.9999, 0.99), (0.9999, 0.995), (0.5, 0.5)]
)
@pytest.mark.parametrize("rows", [10, 100, 1000])
def test_errors_rarer_than_the_rows_are_not_ruled_out(confidence, right, rows):
    rng = np.random.default_rng(rows)
    found = [calibration_error(np.full(rows, confidence), rng.random(rows) < right) for _ in range(300)]
    assert np.mean([e.low <= abs(confidence - right) <= e.high for e in found]) >= 0.92
    if confidence == right:
        assert np.mean([e.is_found for e in found]) <= 0.09


def test_what_it_says_of_few_and_of_certain_rows():
    assert str(calibration_error([], [])) == "no rows to tell by"
    few = calibration_error([0.9] * 4, [True] * 4)
    assert math.isnan(few.error)
    assert (few.low, few.high, few.is_found, few.bins) == (0, 1, False, 0)
    certain = calibration_error([1.0] * 100, [True] * 100)
    assert (certain.error, certain.is_found) == (0, False)
    assert 0.03 < certain.high < 0.05  # by the rule of three, about
    wrong = calibration_error([1.0] * 100, [True] * 60 + [False] * 40)
    assert wrong.error == pytest.approx(0.4, abs=0.01)
    assert wrong.low < 0.4 < wrong.high
    assert calibration_error([0.9] * 50, [True] * 45 + [False] * 5, level=0.5).high < calibration_error([0.9] * 50, [True] * 45 + [False] * 5).high  # fmt: skip
    for arguments, said in [
        (([1.5], [True]), "a confidence is 1.5"),
        (([0.5, 0.5], [True]), r"confidence of shape \(2,\)"),
        (([0.5], ["False"]), "outcomes of dtype <U5 are not all True or False"),
        (([0.5], [3]), "outcomes of dtype int64 are not all True or False, or 1 or 0"),
        (([0.5], [math.nan]), "outcomes of dtype float64"),
        ((np.ma.array([0.5, 0.6], mask=[0, 1]), [True, True]), "some confidence are masked"),
        ((pd.Series([0.5, 0.6]), pd.Series([True, False], index=[1, 0])), "different indexes"),
    ]:
        with pytest.raises(ValueError, match=said):
            calibration_error(*arguments)
    for options in (dict(bins=0), dict(level=0), dict(level=95)):
        with pytest.raises(ValueError, match="at least one bin, and a level between 0 and 1"):
            calibration_error([0.5] * 9, [True] * 9, **options)


def test_what_chance_alone_gives_the_plug_in_error():
    errors, chance = [], []
    rng = np.random.default_rng(4)
    for _ in range(200):
        found = reliability(*draw(rng, 500))
        errors.append(found.error)
        chance.append(found.error_by_chance)
    assert np.mean(chance) == pytest.approx(np.mean(errors), rel=0.05)
    assert math.isnan(reliability([], []).error_by_chance)
    for confidence, rows in ((0.999, 10), (0.9999, 100), (0.9, 30)):  # where a normal distance would be far too large
        found = [reliability(np.full(rows, confidence), rng.random(rows) < confidence) for _ in range(4000)]
        assert found[0].error_by_chance == pytest.approx(np.mean([f.error for f in found]), rel=0.4)


def test_the_command_that_measures_coverage_runs():
    words = ["-m", "benchmarks", "coverage", "--draws", "4"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ") and "rows" not in line]
    assert len(rows) == 9 + 6 + 7


# ---- the test ----


def rejected(draws, rows, seed=0, bent=lambda z: z, spread=2.0, level=0.0):
    """The share of draws in which calibration is rejected: logits z, outcomes by bent(z)."""
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(draws):
        z = spread * rng.normal(size=rows) + level
        count += calibration_test(sigmax.sigmoid(z), rng.random(rows) < sigmax.sigmoid(bent(z))).is_rejected()
    return count / draws


@pytest.mark.parametrize(
    ("rows", "level", "draws", "most"),
    [
        (50, 0.0, 400, 36),
        (200, 0.0, 400, 36),
        (8000, 0.0, 400, 36),
        (100, 8.0, 400, 36),
        (2000, 8.0, 100, 13),
        (20_000, 8.0, 20, 5),
    ],
)
def test_calibrated_models_are_rejected_as_often_as_said(rows, level, draws, most):
    """One in 20 is expected; more than this is chance in 1 of 400 at the most."""
    assert rejected(draws, rows, level=level) * draws <= most


@pytest.mark.parametrize(
    ("bent", "least"),
    [
        (lambda z: 0.8 * z, 0.95),
        (lambda z: z + 0.2, 0.5),
        (lambda z: z + 0.1 * z * z - 0.2, 0.9),
        (lambda z: z + 0.7 * np.sin(4 * z), 0.9),
    ],
    ids=["slope", "shift", "curve", "wiggle"],
)
def test_what_is_off_is_found(bent, least):
    assert rejected(60, 3000, bent=bent) >= least


@pytest.mark.parametrize("classes", [3, 10])
def test_many_classes_are_tested_together(classes):
    rng = np.random.default_rng(1)
    counts = dict.fromkeys((1.0, 1.3), 0)
    for _ in range(15):
        s = 2 * rng.normal(size=(1500, classes))
        y = (s + rng.gumbel(size=s.shape)).argmax(axis=1)
        for t in counts:
            found = calibration_test(sigmax.softmax(s * t), y)
            assert set(found.parts) == {"top label", *map(str, range(classes))}
            counts[t] += found.is_rejected()
    assert counts[1.0] <= 4
    assert counts[1.3] >= 13


def test_chi_squares_are_scipys():
    from scipy.stats import chi2, poisson

    from sigmax.calibration.hypothesis import _chi_square, _poisson

    for degrees in (1, 2, 3, 4, 7, 15, 16):
        for x in (0.0, 0.01, 1.0, 5.0, 30.0, 200.0):
            assert _chi_square(x, degrees) == pytest.approx(chi2.sf(x, degrees), rel=1e-9, abs=1e-300)
    for count in range(6):
        for mean in (0.01, 1.0, 4.0):
            wanted = min(1, 2 * min(poisson.sf(count - 1, mean), poisson.cdf(count, mean)))
            assert _poisson(count, mean) == pytest.approx(wanted, rel=1e-9)


def test_the_impossible_rejects_and_nothing_tells_nothing():
    assert calibration_test([1.0, 1.0, 0.5], [1, 0, 1]).p_value == 0
    assert calibration_test([1.0, 1.0], [1, 1]).p_value == 1
    assert str(calibration_test([], [])) == "no rows to tell by"
    assert calibration_test([[0.2, 0.8]] * 50, [1] * 40 + [0] * 10).p_value == pytest.approx(1)
    with pytest.raises(ValueError, match="0 bins"):
        calibration_test([0.5], [1], bins=0)
    with pytest.raises(ValueError, match="none of the classes"):
        calibration_test([0.5], [2])
