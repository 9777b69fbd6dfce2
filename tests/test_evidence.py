"""Evidence on probabilities: against definitions, against scikit-learn, in any order of the rows."""

import json
import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from command import run
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

import sigmax
from sigmax.calibration import CalibrationTest, Evidence, calibration_error, calibration_test, measure
from sigmax.calibration.cells import Cells, Tally
from sigmax.calibration.error import error_of
from sigmax.calibration.hypothesis import p_value_of
from sigmax.calibration.smooth import smooth_error
from sigmax.calibration.sums import ExactSum, RowMean
from sigmax.calibration.told import class_lines, group_lines, holm, percent, verdict
from sigmax.tables import Job, TableError, score_file
from sigmax.tables.measured import measure_files


def two(rng, rows, slope=1.0):
    z = 2 * rng.normal(size=rows)
    return sigmax.sigmoid(z), (rng.random(rows) < sigmax.sigmoid(slope * z)).astype(int)


def many(rng, rows, classes=4, slope=1.0):
    x = 2 * rng.normal(size=(rows, classes))
    p = sigmax.softmax(slope * x)
    return sigmax.softmax(x), (rng.random(rows)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)


# ---- the figures ----


@pytest.mark.parametrize("draw", [two, many])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_scikit_learns(draw, weighted):
    rng = np.random.default_rng(1)
    p, y = draw(rng, 3000)
    w = rng.exponential(size=3000) if weighted else None
    found = measure(p, y, w)
    guess = (p >= 0.5).astype(int) if p.ndim == 1 else p.argmax(axis=1)
    for mean, want in (
        (found.log_loss, log_loss(y, p, sample_weight=w)),
        (found.brier, brier_score_loss(y, p, sample_weight=w)),
        (found.accuracy, accuracy_score(y, guess, sample_weight=w)),
    ):
        assert mean.mean == pytest.approx(want, rel=1e-12)
        assert mean.low < mean.mean < mean.high
    np.testing.assert_allclose(found.class_shares, np.bincount(y, w) / (3000 if w is None else w.sum()), rtol=1e-12)
    whole = np.stack([1 - p, p], axis=1) if p.ndim == 1 else p
    np.testing.assert_allclose(found.mean_probabilities, np.average(whole, axis=0, weights=w), rtol=1e-8)


def test_the_interval_of_a_mean_is_that_of_its_rows():
    x = np.random.default_rng(2).exponential(size=500)
    mean = RowMean()
    mean.add(x)
    half = 1.959963984540054 * x.std(ddof=1) / math.sqrt(500)
    assert (mean.mean.low, mean.mean.high) == pytest.approx((x.mean() - half, x.mean() + half), rel=1e-12)
    weighted = RowMean()  # a weight that is the same for all rows changes nothing
    weighted.add(x, np.full(500, 3.0))
    assert weighted.mean.low == pytest.approx(mean.mean.low, rel=1e-12)


@pytest.mark.parametrize("draw", [two, many])
def test_any_batches_in_any_order_give_the_same_bits(draw):
    rng = np.random.default_rng(3)
    p, y = draw(rng, 5000)
    whole = measure(p, y)
    merged = Evidence(whole.classes)
    for part in rng.permutation(np.array_split(rng.permutation(5000), 10)):
        one = Evidence(whole.classes)
        one.add(p[part], y[part])
        merged.merge(json.loads(json.dumps(one.state())))
    assert merged.state() == whole.state()
    for figure in ("log_loss", "brier", "accuracy", "rows", "mean_confidence"):
        assert getattr(merged, figure) == getattr(whole, figure)
    assert merged.error() == whole.error()
    assert merged.test() == whole.test()
    assert merged.smooth_error() == whole.smooth_error()


@pytest.mark.parametrize("draw", [two, many], ids=["two", "many"])
def test_a_test_is_of_all_rows_so_far(draw):
    p, y = draw(np.random.default_rng(9), 600)
    first, rest = slice(0, 300), slice(300, None)
    added, merged = measure(p[first], y[first]), measure(p[first], y[first])
    before = added.test(), merged.test()
    added.add(p[rest], y[rest])
    merged.merge(measure(p[rest], y[rest]))
    for found, old in zip((added, merged), before, strict=True):
        assert found.test() == measure(p, y).test() != old
    assert added.test(bins=5) == measure(p, y).test(bins=5) != added.test()


def test_weights_count_rows_as_often_as_they_say():
    rng = np.random.default_rng(4)
    p, y = two(rng, 400)
    w = rng.integers(0, 4, 400)
    once, repeated = measure(p, y, w), measure(np.repeat(p, w), np.repeat(y, w))
    assert once.log_loss.mean == pytest.approx(repeated.log_loss.mean, rel=1e-12)
    np.testing.assert_allclose(once.line().share, repeated.line().share, rtol=1e-12)
    assert once.smooth_error() == pytest.approx(repeated.smooth_error(), rel=1e-6)
    assert once.error().low <= repeated.error().low  # as many rows of weight 1 tell more
    ones, none = measure(p, y, np.ones(400)).error(), measure(p, y).error()  # whose sums are whole parts of 2^30
    assert (ones.squared, ones.low, ones.high) == pytest.approx((none.squared, none.low, none.high), abs=1e-9)
    beside = Evidence()
    beside.add(p, y, w)
    beside.add([1.0], [0], [0.0])  # which counts for nothing, whatever it says
    assert beside.log_loss == once.log_loss
    assert beside.rows == int((w > 0).sum())


def test_two_columns_are_one():
    p, y = two(np.random.default_rng(5), 1000)
    one, both = measure(p, y), measure(np.stack([1 - p, p], axis=1), y)
    assert one.error() == both.error()
    assert one.log_loss.mean == pytest.approx(both.log_loss.mean, rel=1e-14)
    first, second = one.tally("0"), one.tally("1")
    np.testing.assert_allclose(first.p[::-1], 1 - second.p, rtol=1e-12)
    np.testing.assert_array_equal((first.weight - first.happened)[::-1], second.happened)


def test_a_probability_of_nearly_1_keeps_its_loss():
    assert measure([1e-20, 1 - 1e-16], [0, 1]).log_loss.mean == pytest.approx((1e-20 + 1.1102230246251565e-16) / 2)
    assert measure([0.0], [1]).log_loss.mean == math.inf


def test_each_class_is_counted_by_itself():
    p, y = many(np.random.default_rng(6), 20_000, slope=0.6)
    names = ["ant", "bee", "cat", "dog"]
    found = measure(p, np.array(names)[y], classes=names)
    assert found.error().squared == pytest.approx(
        calibration_error(p.max(axis=1), p.argmax(axis=1) == y).squared, rel=1e-12
    )
    for k, name in enumerate(names):
        exact = error_of(Tally.of_rows(p[:, k], y == k))
        assert found.error(name).error == pytest.approx(exact.error, rel=0.03)
        assert found.tally(name).happened.sum() == (y == k).sum()
    lines = class_lines(found)
    assert {line["class"] for line in lines} == set(names)
    assert [float(line["calibration error"].split()[0]) for line in lines] == sorted(
        (float(line["calibration error"].split()[0]) for line in lines), reverse=True
    )


# ---- the line, and what it makes of a loss ----


def test_the_line_is_the_isotonic_regression():
    rng = np.random.default_rng(7)
    p = rng.choice(np.linspace(0.02, 0.98, 25), 3000)
    y = (rng.random(3000) < p**1.3).astype(int)
    found = measure(p, y)
    line = found.line()
    fitted = IsotonicRegression().fit(p, y).predict(np.linspace(0.02, 0.98, 25))
    np.testing.assert_allclose(
        np.interp(np.linspace(0.02, 0.98, 25), line.probability, line.share), fitted, rtol=1e-6, atol=1e-7
    )
    at_rows = IsotonicRegression().fit(p, y).predict(p)
    parts = found.decomposition()["brier"]
    assert parts.miscalibration == pytest.approx(((p - y) ** 2).mean() - ((at_rows - y) ** 2).mean(), rel=1e-9)
    assert parts.uncertainty == pytest.approx(y.mean() * (1 - y.mean()), rel=1e-12)
    whole = parts.miscalibration - parts.discrimination + parts.uncertainty
    assert whole == pytest.approx(found.brier.mean, rel=1e-12)
    parts = found.decomposition()["log_loss"]
    mixed = (3000 * at_rows + 0.5) / 3001
    assert parts.miscalibration == pytest.approx(log_loss(y, p) - log_loss(y, mixed), rel=1e-9)
    assert parts.miscalibration - parts.discrimination + parts.uncertainty == pytest.approx(log_loss(y, p), rel=1e-12)


def test_the_band_holds_the_line_of_a_calibrated_model():
    rng = np.random.default_rng(8)
    inside = []
    for _ in range(40):
        line = measure(*two(rng, 800)).line()
        at = np.interp(line.at, line.probability, line.share)
        inside.append(((at >= line.low - 1e-9) & (at <= line.high + 1e-9)).mean())
    assert 0.92 < np.mean(inside) < 0.99
    line = measure(*two(rng, 5000, 0.5)).line()
    at = np.interp(line.at, line.probability, line.share)
    assert ((at < line.low) | (at > line.high)).mean() > 0.5


def test_the_smooth_error_is_what_its_definition_says():
    rng = np.random.default_rng(9)
    for slope in (1.0, 0.5, 3.0):
        p, y = two(rng, 300, slope)
        grid = (np.arange(1500) + 0.5) / 1500
        images = [s * p + k for k in (-2, 0, 2) for s in (1, -1)]

        def distance(width, p=p, y=y, grid=grid, images=images):
            kernel = sum(np.exp(-0.5 * ((grid[:, None] - q) / width) ** 2) for q in images)
            return np.abs(kernel @ (y - p)).mean() / (len(p) * width * math.sqrt(2 * math.pi))

        low, high = 1e-3, 0.5
        for _ in range(30):
            width = (low + high) / 2
            low, high = (low, width) if distance(width) < width else (width, high)
        assert measure(p, y).smooth_error() == pytest.approx(width, rel=2e-3)
        assert smooth_error(Tally.of_rows(p, y.astype(bool))) == pytest.approx(width, rel=2e-3)


# ---- the test ----


def test_cells_test_as_rows_do():
    rng = np.random.default_rng(10)
    for rows, slope in ((100, 1.0), (2000, 1.0), (2000, 0.85), (20_000, 0.97)):
        p, y = two(rng, rows, slope)
        assert measure(p, y).test().p_value == pytest.approx(calibration_test(p, y).p_value, rel=0.1, abs=0.03)
    p, y = many(rng, 3000, slope=0.8)
    assert measure(p, y).test().is_rejected()
    assert set(measure(p, y).test().parts) == {"top label", "0", "1", "2", "3"}


@pytest.mark.parametrize("weighted", [False, True])
def test_the_size_is_what_it_claims(weighted):
    rng = np.random.default_rng(11)
    rejected = 0
    for _ in range(400):
        p, y = two(rng, 2000)  # enough for the laws of both statistics: nothing is drawn
        cells = Cells()
        cells.add(p, y == 1, rng.exponential(size=2000) if weighted else None)
        rejected += p_value_of(cells.tally()) <= 0.05
    assert 6 <= rejected <= 36  # of 20


def test_the_weighted_interval_holds_the_error():
    rng = np.random.default_rng(12)
    z = 2 * rng.normal(size=200_000)
    true = math.sqrt(np.mean((sigmax.sigmoid(z) - sigmax.sigmoid(0.8 * z)) ** 2))
    held = 0
    for _ in range(150):
        p, y = two(rng, 1000, 0.8)
        error = measure(p, y, rng.exponential(size=1000)).error()
        held += error.low <= true <= error.high
    assert held >= 138


def test_holms_rule():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({}) == {}


# ---- sums ----


def test_exact_sums_do_not_hang_on_the_order():
    rng = np.random.default_rng(13)
    x = np.concatenate([rng.exponential(size=3000), [1e12, 2.0**40 + 0.5, 1e-20, 3e-17]])
    whole = ExactSum()
    whole.add(x)
    assert whole.value == pytest.approx(math.fsum(x), rel=1e-15)
    parts = ExactSum()
    for part in np.array_split(rng.permutation(x), 13):
        parts.add(part)
    assert parts.state() == whole.state()
    whole.add(np.array([math.inf, 1.0]))
    assert whole.value == math.inf
    assert whole.infinite == 1


# ---- errors ----


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Evidence(1), "1 classes; there must be at least 2"),
        (lambda: Evidence(["a", "a"]), "two classes have one name"),
        (lambda: measure([0.5, 1.5], [0, 1]), "a probability is 1.5"),
        (lambda: measure([0.5, 0.2], [0, 2]), "the label 2 is none of the classes: 0, 1"),
        (lambda: measure([0.5, 0.2], [0, 1], [1, -1]), "a sample weight is -1"),
        (lambda: Evidence(3).add([0.5], [0]), "one probability a row for 3 classes"),
        (lambda: Evidence(3).add([[0.5, 0.5]], [0]), "probabilities of 2 classes for the 3 classes"),
        (lambda: Evidence(3).decomposition(), "a loss is taken apart for two classes; these are 3"),
        (lambda: Evidence().decomposition(), "there are no rows"),
        (lambda: Evidence().tally("c"), "'c' is none of the classes: 0, 1"),
        (lambda: Evidence(3, by_class=False).error("1"), "no class was counted by itself"),
        (lambda: Evidence(3).merge(Evidence(4)), "evidence on other classes"),
        (
            lambda: Evidence(3).merge(Evidence(3, by_class=False)),
            "one counts each class by itself and the other does not",
        ),
        (lambda: Evidence().merge({}), "this is no state of Evidence: it has no"),
    ],
)
def test_what_cannot_be_measured_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_no_rows_say_nothing():
    empty = Evidence()
    assert math.isnan(empty.log_loss.mean)
    assert empty.test() == CalibrationTest(empty.test().p_value, {}, 0)
    assert math.isnan(empty.test().p_value)
    assert math.isnan(empty.smooth_error())
    assert empty.line().probability.size == 0
    assert verdict(empty) == "0 labelled rows are too few to tell whether these probabilities hold."


def test_more_than_a_thousand_classes_are_measured_by_their_top_label():
    rng = np.random.default_rng(14)
    p, y = many(rng, 300, 1200)
    found = measure(p, y)
    assert found.mean_probabilities is None
    assert class_lines(found) == []
    assert list(found.test().parts) == ["top label"]
    assert found.log_loss.mean == pytest.approx(-np.log(p[np.arange(300), y]).mean(), rel=1e-12)


# ---- in words ----


def test_the_verdict_says_which_way():
    rng = np.random.default_rng(15)
    p, y = two(rng, 8000)
    assert verdict(measure(p, y)).startswith("Nothing speaks against these probabilities: they are off by ")
    z = sigmax.logit(p)
    for q, said in (
        (3 * z, "too sure."),
        (z / 3, "not sure enough."),
        (z + 1, "too high for '1'."),
        (z - 1, "too low for '1'."),
    ):
        assert verdict(measure(sigmax.sigmoid(q), y)).endswith(said), said
    assert "too few to tell" in verdict(measure(p[:30], y[:30]))


def test_groups_are_shown_the_largest_first():
    rng = np.random.default_rng(16)
    groups = {"a": measure(*two(rng, 100)), "(none)": measure(*two(rng, 5000, 0.4)), "b": Evidence()}
    lines = group_lines(groups, "region")
    assert [line["region"] for line in lines] == ["(none)", "a"]
    assert lines[0]["p"] == "< 0.0001"


# ---- files ----


@pytest.fixture
def scores(tmp_path):
    rng = np.random.default_rng(17)
    x = 2 * rng.normal(size=(3000, 3))
    y = (rng.random(3000)[:, None] > sigmax.softmax(0.6 * x).cumsum(axis=1)).sum(axis=1).clip(0, 2)
    table = {f"logit_{c}": x[:, k] for k, c in enumerate(("cat", "dog", "fox"))}
    table |= {"region": np.where(np.arange(3000) % 3 == 0, "north", "south"), "w": rng.exponential(size=3000).round(3)}
    table |= {"y": np.array(["cat", "dog", "fox"])[y]}
    pq.write_table(pa.table(table), tmp_path / "s.parquet")
    return tmp_path, x, y, table


ASKED = dict(columns=("logit_*",), label="y")


def test_a_file_is_measured_as_its_arrays_are(scores):
    folder, x, y, table = scores
    p = sigmax.softmax(x)
    found = measure_files(folder / "s.parquet", Job(**ASKED), by="region")
    want = measure(p, y)
    assert found.summary.plan.form == "logits"
    assert found.evidence.error() == want.error()
    assert found.evidence.log_loss.mean == pytest.approx(want.log_loss.mean, rel=1e-14)
    assert list(found.groups) == ["north", "south"]
    for name, group in found.groups.items():
        rows = table["region"] == name
        assert group.rows == rows.sum()
        assert group.log_loss.mean == pytest.approx(measure(p[rows], y[rows]).log_loss.mean, rel=1e-14)
    gain, low, high = found.judged.gain
    assert 0 < low < gain < high
    assert gain == pytest.approx(want.log_loss.mean - log_loss(y, sigmax.softmax(0.6 * x)), abs=0.01)
    weighted = measure_files(folder / "s.parquet", Job(**ASKED), weights="w")
    assert weighted.judged is None
    assert weighted.evidence.log_loss.mean == pytest.approx(measure(p, y, table["w"]).log_loss.mean, rel=1e-12)


def test_probabilities_are_measured_as_they_are(scores):
    folder, x, y, _ = scores
    score_file(folder / "s.parquet", output=folder / "p.parquet", **ASKED)
    table = pq.read_table(folder / "p.parquet")
    assert {"p_cat", "prediction", "confidence"} < set(table.column_names)
    pq.write_table(table.drop_columns(["w"]), folder / "p.parquet")
    found = measure_files(folder / "p.parquet", Job(label="y"))
    assert found.summary.plan.form == "probabilities"
    assert found.evidence.error() == measure(sigmax.softmax(x), y).error()
    logs = pa.table({f"lp_{c}": sigmax.log_softmax(x)[:, k] for k, c in enumerate(("cat", "dog", "fox"))} | {"y": y})
    pq.write_table(logs, folder / "l.parquet")
    found = measure_files(folder / "l.parquet", Job(label="y", classes=("0", "1", "2"), columns=("lp_*",)))
    assert found.evidence.log_loss.mean == pytest.approx(measure(sigmax.softmax(x), y).log_loss.mean, rel=1e-12)


def test_files_add_up(scores):
    folder, _, _, _ = scores
    table = pq.read_table(folder / "s.parquet")
    (folder / "parts").mkdir()
    for i in range(3):
        pq.write_table(table.slice(1000 * i, 1000), folder / "parts" / f"{i}.parquet")
    whole = measure_files(folder / "s.parquet", Job(**ASKED), by="region")
    parts = measure_files(folder / "parts", Job(**ASKED), by="region")
    assert parts.evidence.state() == whole.evidence.state()
    assert {k: v.state() for k, v in parts.groups.items()} == {k: v.state() for k, v in whole.groups.items()}
    assert parts.summary.labelled == 3000
    assert parts.judged.gain == pytest.approx(whole.judged.gain, abs=0.005)


def test_a_sample_of_many_rows_is_spread_over_all(tmp_path):
    rng = np.random.default_rng(18)
    z = rng.normal(size=130_000)
    slope = np.where(np.arange(z.size) < 65_000, 1.0, 0.3)  # a file in order: only the second half is off
    y = rng.random(z.size) < sigmax.sigmoid(slope * 3 * z)
    pq.write_table(pa.table({"score": 3 * z, "y": y}), tmp_path / "s.parquet")
    judged = measure_files(tmp_path / "s.parquet", Job(label="y")).judged
    assert 50_000 <= judged.loss[0].size <= 100_000
    whole = sigmax.binary_cross_entropy(3 * z, y).mean()
    assert judged.loss[0].mean() == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        (dict(columns=("logit_*",)), {}, "name their column with --label"),
        (ASKED, dict(by="logit_cat"), "column 'logit_cat' holds a score; name another for the groups"),
        (ASKED, dict(by="y"), "column 'y' holds the label"),
        (ASKED, dict(by="nothing"), "there is no column 'nothing'; the columns are logit_cat, "),
        (ASKED, dict(by="w"), "column 'w' has more than 250 values"),
        (ASKED, dict(weights="region"), "column 'region' holds what is no weight"),
        (ASKED | dict(form="probabilities"), {}, "row 1 holds .* no probabilities, which the columns were taken for"),
        (ASKED | dict(kind="multilabel", classes=("cat", "dog", "fox")), {}, "many labels a row"),
    ],
)
def test_what_a_file_cannot_be_measured_by_is_named(scores, options, more, said):
    with pytest.raises(TableError, match=said):
        measure_files(scores[0] / "s.parquet", Job(**options), **more)


def test_no_labelled_row_is_nothing_to_measure(tmp_path):
    (tmp_path / "s.csv").write_text("s_a,s_b,y\n1,2,\n2,1,\n")
    with pytest.raises(TableError, match="no row of .*s.csv has both scores and a label"):
        measure_files(tmp_path / "s.csv", Job(label="y"))


def test_the_command_prints_the_verdict_and_the_figures(scores):
    folder, x, y, _ = scores
    words = ["measure", "s.parquet", "--columns", "logit_*", "--label", "y", "--by", "region"]
    done = run(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    want = measure(sigmax.softmax(x), y)
    assert "These probabilities do not hold: those of the predicted class are off by" in done.stdout
    assert "; taken for: logits; " in done.stdout
    assert f"calibration error         {want.error()}" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["south", "north"]
    figures = json.loads(run(*words, "--json", cwd=folder).stdout)
    assert figures["log_loss"] == pytest.approx(want.log_loss.mean, rel=1e-14)
    assert set(figures["groups"]) == {"north", "south"}
    assert figures["verdict"] in done.stdout


def test_a_calibrator_is_measured_beside_the_scores_as_they_are(scores):
    folder, x, y, _ = scores
    words = ["s.parquet", "--columns", "logit_*", "--label", "y"]
    assert run("calibrate", *words, "--method", "temperature", "-o", "c.json", cwd=folder).returncode == 0
    done = run("measure", *words, "--calibration", "c.json", "--json", cwd=folder)
    figures = json.loads(done.stdout)
    assert figures["before"]["log_loss"] == pytest.approx(measure(sigmax.softmax(x), y).log_loss.mean, rel=1e-12)
    assert figures["log_loss"] < figures["before"]["log_loss"] - 0.03
    shown = run("measure", *words, "--calibration", "c.json", cwd=folder).stdout
    assert "as they are" in shown
    assert run("report", *words, "--calibration", "c.json", "-o", "r.html", cwd=folder).returncode == 0
    page = (folder / "r.html").read_text()
    assert '<figure id="before">' in page
    assert f"{figures['before']['log_loss']:.4f}" in page


def test_a_reliability_diagram_of_a_file_of_probabilities(scores):
    folder, _, _, _ = scores
    score_file(folder / "s.parquet", output=folder / "p.parquet", **ASKED)
    pictures = []
    for name, columns in (("s", "logit_*"), ("p", "p_*")):
        done = run(
            "plot",
            "reliability",
            f"{name}.parquet",
            "--columns",
            columns,
            "--label",
            "y",
            "--axis",
            "logit",
            "-o",
            f"{name}.svg",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
        pictures.append((folder / f"{name}.svg").read_text())
    assert pictures[0] == pictures[1]


def test_measuring_nothing_is_an_error():
    done = run("measure")
    assert (done.returncode, done.stderr) == (
        2,
        "sigmax: name the files to measure, as in: sigmax measure scores.csv --label label\n",
    )


# ---- what a stranger found ----


def swapped(rng, rows):
    """Probabilities whose two smaller ones are given to the wrong classes: the predicted class holds."""
    x = 2 * rng.normal(size=(rows, 3))
    p = sigmax.softmax(x)
    y = (rng.random(rows)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    order = np.argsort(p, axis=1)
    q = p.copy()
    at = np.arange(rows)
    q[at, order[:, 0]], q[at, order[:, 1]] = p[at, order[:, 1]], p[at, order[:, 0]]
    return q, y


def test_the_verdict_names_the_class_that_is_off_where_the_predicted_one_is_not():
    q, y = swapped(np.random.default_rng(20), 5000)
    found = measure(q, y)
    assert not found.error().is_found
    said = verdict(found)
    assert "those of the predicted class are off by " in said
    worst = max(range(3), key=lambda k: found.error(k).error)
    assert f"Against all others '{worst}' is off the most, by {percent(found.error(worst).error)}" in said


def test_a_limit_is_rounded_away_from_what_it_limits():
    assert percent(0.04701, "up") == "4.8 %"
    assert percent(0.04699, "down") == "4.6 %"
    assert percent(0.000123, "up") == "0.013 %"
    assert percent(0.000129, "down") == "0.012 %"
    assert percent(0.05, "up") == "5.0 %"
    assert percent(0.0) == "0.0 %"
    rng = np.random.default_rng(21)
    rare = measure(np.full(100_000, 1e-4), (rng.random(100_000) < 1e-4).astype(int))
    limit = float(re.search(r"off by (\S+) % at most", verdict(rare))[1]) / 100
    assert limit >= rare.error().high > 0


def test_a_class_that_occurs_though_it_was_given_0_is_told():
    rng = np.random.default_rng(22)
    z = 5 * rng.normal(size=20_000)
    y = (rng.random(20_000) < sigmax.sigmoid(z)).astype(int)
    found = measure(sigmax.sigmoid(z).round(2), y)
    assert found.impossible > 1
    assert f"{found.impossible} rows are of a class that was given the probability 0: were they rounded?" in verdict(
        found
    )


@pytest.mark.parametrize("weight", [1e-20, 1e-10, 1e10, 1e160])
def test_weights_that_sums_cannot_hold_are_refused(weight):
    with pytest.raises(ValueError, match="multiply all by the same number"):
        measure([0.5, 0.2], [0, 1], [weight, weight])


def test_tensors_and_tables_are_measured():
    rng = np.random.default_rng(23)
    p, y = many(rng, 500, 3)
    want = measure(p, y)
    tensor = torch.tensor(p, requires_grad=True)
    assert measure(tensor, torch.tensor(y)).state() == want.state()
    assert measure(torch.tensor(p).bfloat16(), y).rows == 500
    frame = pd.DataFrame(p, columns=["p_ant", "p_bee", "p_cat"])
    named = measure(frame, np.array(["ant", "bee", "cat"])[y])
    assert named.classes == ["ant", "bee", "cat"]
    assert named.error() == want.error()
    q, truth = two(rng, 300)
    assert measure(q[:, None], truth).state() == measure(q, truth).state()
    with pytest.raises(ValueError, match="the probabilities of row 1 add up to 0.5, not to 1"):
        measure([[0.5, 0.5], [0.3, 0.2]], [0, 1])


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(24)
    z = 2 * rng.normal(size=2000)
    y = (rng.random(2000) < sigmax.sigmoid(z)).astype(int)
    for name, values in (("logits", z), ("probabilities", sigmax.sigmoid(z))):
        pq.write_table(pa.table({"score": values, "y": y}), tmp_path / f"{name}.parquet")
    return tmp_path, z, y


def test_a_file_of_probabilities_is_not_accused_of_what_a_sigmoid_would_make_of_it(pair):
    folder, z, y = pair
    done = run("measure", "probabilities.parquet", "--label", "y", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "; taken for: probabilities; " in done.stdout
    assert measure_files(folder / "probabilities.parquet", Job(label="y")).summary.warnings == []
    turned = pa.table({"score": sigmax.sigmoid(-z), "y": y})
    pq.write_table(turned, folder / "turned.parquet")
    (warning,) = measure_files(folder / "turned.parquet", Job(label="y")).summary.warnings
    assert "is no better than always saying" in warning
    pq.write_table(pa.table({"logit": np.random.default_rng(0).random(500), "y": y[:500]}), folder / "named.parquet")
    found = measure_files(folder / "named.parquet", Job(label="y")).summary.warnings
    assert any("column 'logit' is called a logit, and its numbers are taken for probabilities" in w for w in found)


def test_probabilities_go_through_no_temperature_and_no_calibrator_of_logits(pair):
    folder, _, _ = pair
    assert run("calibrate", "logits.parquet", "--label", "y", "-o", "c.json", cwd=folder).returncode == 0
    for options in (("--temperature", "2"), ("--calibration", "c.json")):
        done = run("measure", "probabilities.parquet", "--label", "y", *options, cwd=folder)
        assert done.returncode == 2
        assert "the columns hold probabilities, no scores" in done.stderr
        done = run("measure", "probabilities.parquet", "--label", "y", "--form", "probabilities", *options, cwd=folder)
        assert done.stderr.startswith(
            "sigmax: probabilities are taken as they are; leave the temperature and the calibration"
        )
    for files in (("logits", "probabilities"), ("probabilities", "logits")):
        done = run("measure", *(f"{f}.parquet" for f in files), "--label", "y", cwd=folder)
        assert done.returncode == 2
        assert f"{files[1]}.parquet holds {files[1]}, and {files[0]}.parquet {files[0]}; say with --form" in done.stderr


def test_rows_that_are_not_measured_are_counted(tmp_path):
    rows = [f"{(i % 7) - 3 if i % 5 else ''},{i % 2 if i % 3 else ''}" for i in range(300)]
    (tmp_path / "s.csv").write_text("\n".join(["score,y", *rows]) + "\n")
    done = run("measure", "s.csv", "--label", "y", cwd=tmp_path)
    assert "Not measured: 140 of 300 rows (80 without a label; 60: a score is missing)" in done.stdout
    figures = json.loads(run("measure", "s.csv", "--label", "y", "--json", cwd=tmp_path).stdout)
    assert (figures["rows_read"], figures["rows"], figures["without_label"]) == (300, 160, 80)
    assert figures["not_scored"] == {"a score is missing": 60}


def test_groups_of_lists_are_refused_and_missing_ones_named(pair):
    folder, z, y = pair
    table = pa.table({"score": z, "y": y, "many": [[1.0]] * 2000, "g": [None, "", "a", "b"] * 500})
    pq.write_table(table, folder / "g.parquet")
    asked = Job(label="y", columns=("score",))
    with pytest.raises(TableError, match="column 'many' holds list.* name one with plain values"):
        measure_files(folder / "g.parquet", asked, by="many")
    with pytest.raises(TableError, match="column 'many' holds what is no weight"):
        measure_files(folder / "g.parquet", asked, weights="many")
    assert list(measure_files(folder / "g.parquet", asked, by="g").groups) == ["(empty)", "(none)", "a", "b"]


def test_the_limit_of_groups_holds_over_all_files(pair):
    folder, z, y = pair
    for i in range(2):
        part = pa.table({"score": z[:200], "y": y[:200], "g": [f"{i}-{j}" for j in range(200)]})
        (folder / "parts").mkdir(exist_ok=True)
        pq.write_table(part, folder / "parts" / f"{i}.parquet")
    with pytest.raises(TableError, match="column 'g' has more than 250 values"):
        measure_files(folder / "parts", Job(label="y", columns=("score",)), by="g")


def test_probabilities_are_taken_as_they_are_wherever_a_model_is_judged(scores):
    folder, x, y, _ = scores
    p = sigmax.softmax(x)
    table = pa.table(
        {f"p_{c}": p[:, k] for k, c in enumerate(("cat", "dog", "fox"))} | {"y": np.array(["cat", "dog", "fox"])[y]}
    )
    pq.write_table(table, folder / "p.parquet")
    done = run("report", "p.parquet", "--label", "y", "-o", "r.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "r.html").read_text()
    want = measure(p, y)
    assert f"{want.log_loss.mean:.4f}" in page
    assert "which are probabilities; 3 classes" in page
    scored = score_file(folder / "p.parquet", label="y", form="probabilities", output=folder / "again.parquet")
    assert scored.log_loss == pytest.approx(want.log_loss.mean, rel=1e-12)
    again = pq.read_table(folder / "again.parquet")
    np.testing.assert_allclose(
        np.column_stack([again[f"p_{c}"].to_numpy() for c in ("cat", "dog", "fox")]), p, rtol=1e-14
    )
    with pytest.raises(TableError, match="the columns hold probabilities, no scores"):
        score_file(folder / "p.parquet", label="y")
    certain = pa.table({"s": [0.0, 1.0, 0.5, None], "y": [0, 1, 1, 0]})
    pq.write_table(certain, folder / "c.parquet")
    found = score_file(folder / "c.parquet", label="y", form="probabilities")
    assert (found.scored, found.log_loss) == (3, pytest.approx(math.log(2) / 3))
    with pytest.raises(TableError, match="form is 'odds'; it must be one of"):
        Job(form="odds")


def test_blocks_of_a_dask_array_are_counted_to_the_same_bits():
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(0)
    p, y, w = sigmax.softmax(rng.normal(size=(5000, 4))), rng.integers(0, 4, 5000), rng.random(5000)
    want = measure(p, y).state()
    blocks = da.from_array(p, chunks=(700, 3))
    assert measure(blocks, y).state() == want
    assert measure(blocks, da.from_array(y, chunks=1234)).state() == want
    two = measure(da.from_array(p[:, 1], chunks=999), y == 1)
    assert two.state() == measure(p[:, 1], y == 1).state()
    weighted, whole = measure(blocks, y, w), measure(p, y, w)
    assert weighted.log_loss.mean == pytest.approx(whole.log_loss.mean, rel=1e-13)
    with pytest.raises(ValueError, match=r"labels of shape \(4999,\) for 5000 rows"):
        measure(blocks, y[1:])
    with pytest.raises(ValueError, match="a probability is 1"):
        measure(blocks + 1, y)
