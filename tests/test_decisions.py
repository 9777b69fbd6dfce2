"""Decisions: least expected cost, all thresholds, other base rates, sets with a promise; by definitions, and against scikit-learn."""

import itertools
import json
import math
import warnings

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from command import run

import sigmax
from sigmax.calibration import measure
from sigmax.decisions import (
    Costs,
    PredictionSets,
    PriorWarning,
    curves_of,
    decide,
    estimate_prior,
    realised,
    risk_coverage,
    shift_prior,
)


def drawn(rows, classes, seed=0, scale=2.0):
    rng = np.random.default_rng(seed)
    z = scale * rng.normal(size=(rows, classes))
    return z, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("by_class", [False, True])
def test_sets_are_kept_as_plain_numbers(method, by_class):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(60, 3)) * 2
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    y[y == 2] = np.where(np.arange((y == 2).sum()) < 5, 2, 0)  # too few for any promise
    sets = PredictionSets(0.9, method=method, by_class=by_class, random_state=3).fit(z, y)
    again = PredictionSets.from_json(sets.to_json())
    new = rng.normal(size=(500, 3)) * 3
    np.testing.assert_array_equal(again.predict(new), sets.predict(new))
    assert again.notes_ == sets.notes_
    assert again.to_json() == sets.to_json()
    with pytest.raises(ValueError, match="fit them anew for p-values"):
        again.p_values(new)
    with pytest.raises(AttributeError, match="not fitted"):
        PredictionSets().to_json()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"coverage": 1.5}, "'coverage' is wrong: 1.5 is not between"),
        ({"coverage": True}, "'coverage' is wrong"),
        ({"method": "other"}, "none of lac, aps"),
        ({"threshold": [0.1]}, "of different numbers"),
        ({"threshold": [0.1, "x", 0.2]}, "'x' is no number"),
        ({"rows": [1, -1, 2]}, "no number of rows"),
        ({"classes": ["a", "a", "b"]}, "different names"),
        ({"by_class": 1}, "neither true nor false"),
        ({"more": 1}, "unknown 'more'"),
        ({"version": 2}, "version 2"),
    ],
)
def test_sets_that_were_tampered_with_are_refused(change, told):
    sets = PredictionSets().fit(np.random.default_rng(1).normal(size=(30, 3)), np.arange(30) % 3)
    with pytest.raises(ValueError, match=told):
        PredictionSets.from_json(json.dumps({**json.loads(sets.to_json()), **change}))


# ---- costs ----


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_choice_is_that_of_the_definition(classes):
    rng = np.random.default_rng(classes)
    z, _ = drawn(2000, classes)
    p = sigmax.softmax(z)
    for _ in range(20):
        costs = rng.normal(size=(classes, rng.integers(1, 6))).round(1)
        found = decide(z, costs, form="logits")
        expected = p @ costs
        np.testing.assert_allclose(found.cost, expected.min(axis=1), rtol=1e-9, atol=1e-12)
        ranked = np.sort(expected, axis=1)
        if costs.shape[1] > 1:
            np.testing.assert_allclose(found.margin, ranked[:, 1] - ranked[:, 0], atol=1e-12)
        sure = found.margin > 1e-9
        np.testing.assert_array_equal(found.choice[sure], expected.argmin(axis=1)[sure])


def test_two_classes_are_told_by_the_logit_where_probabilities_are_all_the_same():
    # a miss costs 1e20 false alarms: the threshold lies at a logit of -46, where p is below 1e-20 and 1 - p is 1
    costs = [[0, 1], [1e20, 0]]
    at = -20 * math.log(10)
    assert decide([at - 1e-9, at + 1e-9], costs, form="logits").choice.tolist() == [0, 1]
    assert decide([800.0, 801.0], [[0, 1e20], [1, 0]], form="logits").choice.tolist() == [1, 1]
    high = 20 * math.log(10)
    assert decide([high - 1e-9, high + 1e-9], [[0, 1e20], [1, 0]], form="logits").choice.tolist() == [0, 1]
    assert decide([math.log(0.25)], [[0, 1], [4, 0]], form="logits").choice.tolist() == [0]  # even: the first


@pytest.mark.parametrize("seed", range(40))
def test_thresholds_are_the_lower_envelope(seed):
    rng = np.random.default_rng(seed)
    costs = Costs(rng.integers(0, 6, (2, rng.integers(1, 7))))
    order = costs.thresholds()
    begins = [at for _, at in order]
    assert begins[0] == -math.inf
    assert begins == sorted(begins)
    for z in np.linspace(-6, 6, 400):
        p = sigmax.sigmoid(z)
        expected = (1 - p) * costs.matrix[0] + p * costs.matrix[1]
        here = [d for d, at in order if at <= z][-1]
        assert expected[here] <= expected.min() + 1e-12


def test_costs_say_what_is_wrong():
    for given, told in (
        ([[0, 1]], "a line for each class"),
        ([[0, math.nan], [1, 0]], "a cost is nan"),
        ([[0, 1], [1, math.inf]], "a cost is inf"),
    ):
        with pytest.raises(ValueError, match=told):
            Costs(given)
    with pytest.raises(ValueError, match="costs for 2 classes, and scores of 3"):
        decide(np.zeros((2, 3)), [[0, 1], [1, 0]], form="logits")
    with pytest.raises(ValueError, match="give 2 different names"):
        Costs([[0, 1], [1, 0]], ("a", "a"))
    with pytest.raises(ValueError, match="thresholds are those of two classes"):
        Costs(np.eye(3)).thresholds()


def test_what_decisions_cost_is_counted():
    z, y = drawn(4000, 2, scale=1.0)
    z = z[:, 1] - z[:, 0]
    costs = Costs([[0, 1], [5, 0]], ("no", "yes"), ("leave", "act"))
    found = realised(z, y, costs, form="logits")
    act = z > math.log(1 / 5)
    paid = np.where(act, np.where(y == 1, 0, 1), np.where(y == 1, 5, 0))
    assert found.mean.mean == pytest.approx(paid.mean(), rel=1e-12)
    half = 1.959964 * paid.std(ddof=1) / math.sqrt(4000)
    assert (found.mean.low, found.mean.high) == pytest.approx((paid.mean() - half, paid.mean() + half), rel=1e-6)
    assert found.expected == pytest.approx(found.mean.mean, abs=0.05)  # the probabilities hold
    alone = {"leave": 5 * y.mean(), "act": 1 - y.mean()}
    assert found.constant[0] == min(alone, key=alone.get)
    assert found.constant[1].mean == pytest.approx(min(alone.values()))
    assert found.gain.mean == pytest.approx(min(alone.values()) - paid.mean())
    best = min(np.where(z > t, np.where(y == 1, 0, 1), np.where(y == 1, 5, 0)).mean() for t in [-np.inf, *np.unique(z)])
    assert found.hindsight[1] == pytest.approx(best, rel=1e-12)
    at = np.where(z > found.hindsight[0], np.where(y == 1, 0, 1), np.where(y == 1, 5, 0)).mean()
    assert at == pytest.approx(best, rel=1e-12)
    by_name = realised(z, np.array(["no", "yes"])[y], costs, form="logits")
    assert by_name.mean == found.mean
    # the difference between both is what wrong probabilities cost
    wrong = realised(z + 2, y, costs, form="logits")
    assert wrong.hindsight[1] == pytest.approx(found.hindsight[1], rel=1e-12)
    assert wrong.mean.mean > found.mean.mean + 0.05
    ties = realised(
        np.round(z), y, [[1, 0], [0, 5]], form="logits"
    )  # a decision that is the wrong way round, and equal logits
    assert ties.hindsight is not None


# ---- all thresholds ----


def test_curves_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p = np.round(rng.random(3000), 2)  # ties
    y = (rng.random(3000) < p**1.5).astype(int)
    w = rng.random(3000) + 0.1
    for weights in (None, w):
        curves = curves_of(measure(p, y, weights))
        assert curves.area == pytest.approx(metrics.roc_auc_score(y, p, sample_weight=weights), rel=1e-9)
        assert curves.average_precision == pytest.approx(
            metrics.average_precision_score(y, p, sample_weight=weights), rel=1e-9
        )
        fpr, tpr, _ = metrics.roc_curve(y, p, sample_weight=weights, drop_intermediate=False)
        np.testing.assert_allclose(curves.false_alarm_rate, fpr, atol=1e-9)
        np.testing.assert_allclose(curves.recall, tpr, atol=1e-9)
    curves = curves_of(measure(p, y))
    costs = [np.where(p >= t - 1e-6, np.where(y == 1, 0, 2), np.where(y == 1, 7, 0)).mean() for t in curves.threshold]
    np.testing.assert_allclose(curves.cost(2, 7), costs, rtol=1e-9)
    at, cost = curves.best(2, 7)
    assert cost == pytest.approx(min(costs))
    assert at == pytest.approx(curves.threshold[int(np.argmin(costs))])
    for t in (0.05, 0.2, 0.505, 0.9):
        said = p >= t
        want = ((said & (y == 1)).sum() - (said & (y == 0)).sum() * t / (1 - t)) / 3000
        assert float(curves.net_benefit(t)) == pytest.approx(want, abs=1e-9)
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        curves.net_benefit(1.0)


@pytest.mark.parametrize("classes", [2, 4])
def test_risk_against_coverage(classes):
    z, y = drawn(3000, classes)
    p = np.round(sigmax.softmax(z), 2)
    p[:, -1] = 1 - p[:, :-1].sum(axis=1)
    p = np.abs(p) / np.abs(p).sum(axis=1, keepdims=True)
    coverage, risk, area = risk_coverage(measure(p if classes > 2 else p[:, 1], y))
    confidence, wrong = p.max(axis=1), p.argmax(axis=1) != y
    for c, r in list(zip(coverage, risk, strict=True))[:: len(risk) // 7]:
        k = round(c * 3000)
        least = np.sort(confidence)[::-1][k - 1]
        assert r == pytest.approx(wrong[confidence >= least - 1e-9].mean(), abs=0.01)
    assert coverage[-1] == pytest.approx(1)
    assert risk[-1] == pytest.approx(wrong.mean(), abs=0.01)
    assert risk[0] < area < risk[-1]


# ---- base rates ----


@pytest.mark.parametrize("classes", [2, 4])
def test_other_shares_are_those_of_bayes(classes):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(classes), 500)
    old, new = rng.dirichlet(np.ones(classes)), rng.dirichlet(np.ones(classes))
    want = p * new / old
    want /= want.sum(axis=1, keepdims=True)
    z = shift_prior(p, old, new, form="probabilities")
    got = np.column_stack([sigmax.sigmoid(-z), sigmax.sigmoid(z)]) if classes == 2 else np.exp(z)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    back = shift_prior(z, new, old, form="logits" if classes == 2 else "log-probabilities")
    first = sigmax.logit(p[:, 1]) if classes == 2 else np.log(p)
    np.testing.assert_allclose(back, first, rtol=1e-9, atol=1e-12)


def test_class_weights_are_taken_back():
    from sigmax.regression import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    y = (rng.random(20_000) < sigmax.sigmoid(x[:, 0] - 3)).astype(int)
    plain = LogisticRegression(np.inf).fit(x, y)
    balanced = LogisticRegression(np.inf, class_weight="balanced").fit(x, y)
    z = shift_prior(balanced.decision_function(x), 0.5, float(y.mean()), form="logits")
    losses = [
        float(sigmax.binary_cross_entropy(v, y).mean())
        for v in (plain.decision_function(x), z, balanced.decision_function(x))
    ]
    assert losses[1] < losses[0] + 0.002
    assert losses[2] > losses[0] + 0.2
    assert sigmax.sigmoid(z).mean() == pytest.approx(y.mean(), abs=0.002)


@pytest.mark.parametrize("classes", [2, 5])
def test_shares_are_estimated_where_probabilities_hold(classes):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(classes, 3)) * 1.5
    new = rng.dirichlet(np.full(classes, 3.0))
    labels = rng.choice(classes, 20_000, p=new)
    x = centres[labels] + rng.normal(size=(20_000, 3))
    z = x @ centres.T - 0.5 * (centres**2).sum(axis=1)  # exact for even shares
    even = np.full(classes, 1 / classes)
    scores = z if classes > 2 else z[:, 1] - z[:, 0]
    with pytest.warns(PriorWarning, match="nothing says that these probabilities hold"):
        found = estimate_prior(scores, even if classes > 2 else 0.5, form="logits")
    np.testing.assert_allclose(found, new, atol=0.02)
    # it is where EM ends
    p = sigmax.softmax(z)
    r = even
    for _ in range(3000):
        q = p * r
        r = (q / q.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(found, r, atol=1e-7)
    holds = measure(p, rng_labels(p, rng))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = shift_prior(scores, even if classes > 2 else 0.5, "estimate", form="logits", evidence=holds)
    want = shift_prior(scores, even if classes > 2 else 0.5, found if classes > 2 else float(found[1]), form="logits")
    np.testing.assert_allclose(again, want, rtol=1e-9)
    with pytest.warns(PriorWarning, match="do not hold where their labels are known"):
        estimate_prior(scores, even, form="logits", evidence=measure(p, labels))


def rng_labels(p, rng):
    return (rng.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, p.shape[1] - 1)


def test_a_class_that_is_not_there_has_no_share():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5000, 3))
    z[:, 2] -= 30
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = estimate_prior(z, [1 / 3] * 3, form="logits")
    assert found.sum() == pytest.approx(1)
    assert found[2] < 1e-6
    for old, told in (([0.5, 0.6, 0.1], "add up to 1"), ([1, 0, 0], "above 0"), ([0.5, 0.5], "each of the 3 classes")):
        with pytest.raises(ValueError, match=told):
            shift_prior(z, old, [1 / 3] * 3, form="logits")


# ---- sets ----


@pytest.mark.parametrize(("method", "by_class"), list(itertools.product(["lac", "aps"], [False, True])))
@pytest.mark.parametrize("classes", [2, 6])
def test_the_promise_is_kept_over_fits(method, by_class, classes):
    held = []
    for seed in range(60):
        z, y = drawn(500, classes, seed=seed)
        z = z * 3  # far too sure: the promise does not rest on the probabilities
        sets = PredictionSets(0.9, method=method, by_class=by_class, form="logits", random_state=seed).fit(
            z[:200], y[:200]
        )
        held.append(sets.predict(z[200:])[np.arange(300), y[200:]].mean())
    error = np.std(held) / math.sqrt(60)
    high = 0.9 + (1 / 201 if not by_class else classes / 160) + 4 * error
    assert 0.9 - 4 * error < np.mean(held) < high


def test_sets_are_counted_as_they_are_defined():
    z, y = drawn(300, 4)
    sets = PredictionSets(0.85, form="logits").fit(z[:100], y[:100])
    odd = -np.log(sigmax.softmax(z))
    own = np.sort(odd[np.arange(100), y[:100]])
    assert sets.threshold_[0] == pytest.approx(own[math.ceil(101 * 0.85) - 1])
    np.testing.assert_array_equal(sets.predict(z[100:]), odd[100:] <= sets.threshold_[0])
    p = sets.p_values(z[100:])
    want = np.array([[(1 + (own >= v - 1e-12).sum()) / 101 for v in row] for row in odd[100:]])
    np.testing.assert_allclose(p, want)
    np.testing.assert_array_equal(p > 0.15 + 1e-12, sets.predict(z[100:]))
    mapie = PredictionSets(0.85, form="probabilities").fit(sigmax.softmax(z[:100]), y[:100])
    np.testing.assert_array_equal(mapie.predict(sigmax.softmax(z[100:])), sets.predict(z[100:]))


def test_too_few_rows_give_whole_sets_and_say_so():
    z, y = drawn(50, 3)
    few = PredictionSets(0.9, form="logits").fit(z[:8], y[:8])
    assert few.predict(z).all()
    assert few.notes_ == ["8 rows are too few for 90 %, which takes 9: every set holds all classes"]
    assert not PredictionSets(0.9, form="logits").fit(z[:9], y[:9]).notes_
    rare = np.where(y == 2, 0, y)
    by_class = PredictionSets(0.9, by_class=True, form="logits").fit(z, rare)  # a class without a row
    assert by_class.predict(z)[:, 2].all()
    assert "0 rows of 2 are too few" in by_class.notes_[0]
    for options, told in (({"coverage": 1.0}, "between 0 and 1"), ({"method": "raps"}, "'lac' or 'aps'")):
        with pytest.raises(ValueError, match=told):
            PredictionSets(**options).fit(z, y)
    with pytest.raises(ValueError, match="scores of 2 classes"):
        few.predict(z[:, :2])


# ---- the command ----


@pytest.fixture
def files(tmp_path):
    z, y = drawn(1200, 2)
    logit = z[:, 1] - z[:, 0]
    for name, part in (("valid", slice(0, 600)), ("new", slice(600, None))):
        lines = [
            f"{i},{v!r},{'yes' if k else 'no'}"
            for i, (v, k) in enumerate(zip(logit[part].tolist(), y[part], strict=True))
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,score,truth", *lines, "9999,,no"]) + "\n")
    (tmp_path / "costs.csv").write_text("class,leave,act,ask\nyes,5,0,1\nno,0,1,0.4\n")
    return tmp_path, logit[600:], y[600:]


OPTIONS = ["--columns", "score", "--classes", "no", "yes"]


def test_the_command_decides(files):
    folder, z, y = files
    done = run("decide", "new.csv", *OPTIONS, "--label", "truth", "--costs", "costs.csv", "-o", "d.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    table = pyarrow.csv.read_csv(folder / "d.csv")
    costs = Costs([[0, 1, 0.4], [5, 0, 1]], ("no", "yes"), ("leave", "act", "ask"))
    want = decide(z, costs, form="logits")
    assert table["decision"].to_pylist() == [*want.names.tolist(), ""] or table["decision"].to_pylist() == [
        *want.names.tolist(),
        None,
    ]
    np.testing.assert_allclose(table["expected_cost"].to_numpy()[:-1], want.cost, rtol=1e-9)
    np.testing.assert_allclose(table["margin"].to_numpy()[:-1], want.margin, rtol=1e-6, atol=1e-12)
    cost = realised(z, y, costs, form="logits")
    assert f"cost of a row {cost.mean.mean:.4g} (95 %" in " ".join(done.stdout.split())
    assert "P(yes) leave, ask from p = 0.09091 on, act from p = 0.375 on" in " ".join(done.stdout.split())
    done = run("decide", "new.csv", *OPTIONS, "--threshold", "0.2", "-o", "t.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = pq.read_table(folder / "t.parquet")["decision"].to_pylist()[:-1]
    assert said == np.where(z > sigmax.logit(0.2), "yes", "no").tolist()


def test_the_command_moves_shares(files):
    folder, z, _ = files
    words = ["--threshold", "0.5", "--prior", "yes=0.01", "--prior-before", "yes=0.5", "-o", "p.parquet"]
    done = run("decide", "new.csv", *OPTIONS, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(folder / "p.parquet")
    want = sigmax.sigmoid(shift_prior(z, 0.5, 0.01, form="logits"))
    np.testing.assert_allclose(table["p_yes"].to_numpy()[:-1], want, rtol=1e-9)
    assert table["decision"].to_pylist()[:-1] == np.where(want > 0.5, "yes", "no").tolist()


def test_the_command_counts_decisions(files):
    folder, z, y = files
    done = run("decide", "new.csv", *OPTIONS, "--label", "truth", "--threshold", "0.3", "-o", "t.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = z >= sigmax.logit(0.3)
    rows = [line.replace("│", " ").split() for line in done.stdout.splitlines()]
    lines = {row[0]: row for row in rows if row and row[0] in ("no", "yes")}
    for name, chosen in (("no", ~said), ("yes", said)):
        share = f"{100 * chosen.mean():.1f}"
        assert lines[name] == [name, str(chosen.sum()), share, "%", *(str((chosen & (y == k)).sum()) for k in (0, 1))]
    assert f"said the class {(said == y).mean():.4f} of 600 labelled rows" in " ".join(done.stdout.split())


def test_the_command_estimates_shares(files):
    folder, z, y = files
    rare = np.flatnonzero((y == 0) | (np.arange(len(y)) % 5 == 0))  # a fifth of the ones
    (folder / "rare.csv").write_text("score\n" + "\n".join(map(repr, z[rare].tolist())) + "\n")
    words = ["--threshold", "0.5", "--prior", "estimate", "--prior-before", "yes=0.5"]
    done = run("decide", "rare.csv", *OPTIONS, *words, "-o", "e.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    with pytest.warns(PriorWarning):
        want = estimate_prior(z[rare], 0.5, form="logits")
    assert f"Shares of the classes, estimated: no {want[0]:.4g}, yes {want[1]:.4g}" in done.stdout
    assert "--held-out valid.csv shows it" in " ".join(done.stdout.split())
    shifted = sigmax.sigmoid(shift_prior(z[rare], 0.5, want, form="logits"))
    np.testing.assert_allclose(pq.read_table(folder / "e.parquet")["p_yes"].to_numpy(), shifted, rtol=1e-9)
    held = ["--held-out", "valid.csv", "--label", "truth"]
    done = run("decide", "rare.csv", *OPTIONS, *words, *held, "-o", "f.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    valid = pyarrow.csv.read_csv(folder / "valid.csv").slice(0, 600)
    evidence = measure(sigmax.sigmoid(valid["score"].to_numpy()), np.array(valid["truth"].to_pylist()) == "yes")
    assert ("do not hold" in done.stdout) == evidence.test().is_rejected()
    assert pq.read_table(folder / "f.parquet")["p_yes"].equals(pq.read_table(folder / "e.parquet")["p_yes"])


def test_the_command_writes_sets(files):
    folder, _, y = files
    words = ["--coverage", "0.9", "--held-out", "valid.csv", "--label", "truth", "-o", "s.parquet"]
    done = run("decide", "new.csv", *OPTIONS, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    sets = pq.read_table(folder / "s.parquet")["set"].to_pylist()[:-1]
    held = np.mean([("yes" if k else "no") in s for s, k in zip(sets, y, strict=True)])
    assert abs(held - 0.9) < 0.05
    assert f"held the class {held:.4f} of 600" in " ".join(done.stdout.split())
    lines = (folder / "new.csv").read_text().splitlines()
    (folder / "bare.csv").write_text(
        "\n".join(",".join(line.split(",")[:2]) for line in lines) + "\n"
    )  # without labels
    done = run("decide", "bare.csv", *OPTIONS, *words[:-1], "b.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    again = pyarrow.csv.read_csv(folder / "b.csv")["set"].to_pylist()[:-1]
    assert [s or "" for s in again] == [";".join(s) for s in sets]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say how to decide"),
        (["--costs", "costs.csv", "--threshold", "0.2"], "give either costs or a threshold"),
        (["--threshold", "1.5"], "between 0 and 1"),
        (["--coverage", "0.9"], "--held-out"),
        (["--coverage", "0.9", "--held-out", "valid.csv"], "name the column of the true class"),
        (["--threshold", "0.5", "--held-out", "valid.csv", "--label", "truth"], "sets need both"),
        (["--threshold", "0.5", "--prior", "estimate"], "--prior-before"),
        (["--threshold", "0.5", "--prior", "estimate", "yes=0.2", "--prior-before", "yes=0.5"], "either it or shares"),
        (["--threshold", "0.5", "--prior", "yes=0.1"], "--prior-before"),
        (["--threshold", "0.5", "--prior", "maybe=0.1", "--prior-before", "yes=0.5"], "'maybe' is none of the classes"),
        (["--threshold", "0.5", "--prior", "yes", "--prior-before", "yes=0.5"], "'yes' is no share of a class"),
        (["--threshold", "0.5", "--prior", "yes=2", "--prior-before", "yes=0.5"], "add up to 1"),
        (["--costs", "none.csv"], "none.csv"),
        (["--costs", "valid.csv"], "valid.csv"),
        (["--costs", "other.csv"], "the costs are those of cat, dog"),
        (["--costs", "word.csv"], "the cost 'much' of 'yes' is no number"),
    ],
)
def test_the_command_says_what_is_wrong(files, words, told):
    folder, *_ = files
    (folder / "other.csv").write_text("class,a,b\ncat,0,1\ndog,1,0\n")
    (folder / "word.csv").write_text("class,a,b\nno,0,1\nyes,much,0\n")
    done = run("decide", "new.csv", *OPTIONS, *words, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_report_shows_what_decisions_cost(files):
    folder, z, y = files
    (folder / "two.csv").write_text("class,leave,act\nyes,5,0\nno,0,1\n")
    words = [*OPTIONS, "--label", "truth", "--costs", "two.csv", "-o", "r.html"]
    done = run("report", "new.csv", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "r.html").read_text()
    want = realised(z, y, Costs([[0, 1], [5, 0]], ("no", "yes"), ("leave", "act")), form="logits")
    assert 'id="costs"' in page
    assert (
        f"{want.mean.mean:.4g} (95 %: {want.mean.low:.4g} to {want.mean.high:.4g}); expected {want.expected:.4g}"
        in page
    )
    assert f"always “{want.constant[0]}”" in page
    done = run(
        "report", "new.csv", *OPTIONS, "--label", "truth", "--costs", "costs.csv", "-o", "three.html", cwd=folder
    )
    assert done.returncode == 0, done.stderr  # of three decisions there is no one threshold
    page = (folder / "three.html").read_text()
    assert 'id="costs"' not in page
    assert 'id="paid"' in page


# ---- what strangers found ----


@pytest.mark.parametrize(("old", "new"), [(0.01, 0.5), (0.01, 0.9), (0.99, 0.3), (0.9, 0.1), (0.5, 0.5)])
def test_shares_that_moved_far_are_found(old, new):
    rng = np.random.default_rng(0)
    y = rng.random(20_000) < new
    z = rng.normal(size=20_000) + np.where(y, 0.5, -0.5) + math.log(old / (1 - old))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = estimate_prior(z, old, form="logits")
    assert found[1] == pytest.approx(new, abs=0.03)
    ratios = np.column_stack([1 - sigmax.sigmoid(z), sigmax.sigmoid(z)]) / [1 - old, old]
    left = (ratios / (ratios @ found)[:, None]).mean(axis=0).max() - 1  # what could still be gained, at most
    assert left < 1e-9


def test_sets_remember_what_scores_are_and_do_not_hang_on_the_batch():
    z, y = drawn(600, 2)
    logit = z[:, 1] - z[:, 0]
    sets = PredictionSets(0.8).fit(logit, y)
    np.testing.assert_array_equal(sets.predict([0.3])[0], sets.predict([0.3, 5.0])[0])
    z, y = drawn(3000, 2, scale=0.3)
    logit = z[:, 1] - z[:, 0]
    drawn_sets = PredictionSets(0.8, method="aps", form="logits").fit(logit[:1000], y[:1000])
    whole = drawn_sets.predict(logit[1000:])
    one_by_one = np.vstack([drawn_sets.predict(logit[i : i + 1]) for i in range(1000, 3000)])
    np.testing.assert_array_equal(whole, one_by_one)
    np.testing.assert_array_equal(whole[::-1], drawn_sets.predict(logit[1000:][::-1]))
    assert whole[np.arange(2000), y[1000:]].mean() == pytest.approx(0.8, abs=0.03)


def test_certain_rows_have_a_threshold_in_hindsight():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = realised([0, 1, 0, 1], [0, 1, 0, 1], [[0, 1], [1, 0]], form="probabilities")
    assert found.hindsight[1] == 0
    assert math.isfinite(found.hindsight[0])
    with pytest.raises(ValueError, match="weights are zero"):
        realised([0.1], [0], [[0, 1], [1, 0]], sample_weight=[0], form="probabilities")
    given = np.eye(2)
    costs = Costs(given)
    given[0, 0] = 7
    assert costs.matrix[0, 0] == 1
    assert len({costs, Costs(np.eye(2))}) == 2


def test_costs_under_other_shares_are_those_of_rows_that_are_so_frequent(files):
    folder, z, y = files
    (folder / "two.csv").write_text("class,leave,act\nyes,5,0\nno,0,1\n")
    words = ["--label", "truth", "--costs", "two.csv", "--prior", "yes=0.1", "--prior-before", "yes=0.5"]
    done = run("decide", "new.csv", *OPTIONS, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    moved = shift_prior(z, 0.5, 0.1, form="logits")
    act = moved > math.log(1 / 5)
    cost = 0.1 * 5 * (~act[y == 1]).mean() + 0.9 * act[y == 0].mean()
    told = " ".join(done.stdout.split())
    assert f"cost of a row {cost:.4g} (95 %" in told
    assert "not decided 1 of 601 rows (1: a score is missing)" in told
    done = run("decide", "new.csv", *OPTIONS, "--threshold", "0.5", "--prior", "yes=0.1", "yes=0.2", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "given twice" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["decide", "new.csv", *OPTIONS, "--costs", "costs.csv", "-o", "costs.csv"],
        [
            "decide",
            "new.csv",
            *OPTIONS,
            "--label",
            "truth",
            "--coverage",
            "0.9",
            "--held-out",
            "valid.csv",
            "-o",
            "valid.csv",
        ],
        ["score", "scores.npy", "--labels", "y.npy", "-o", "y.npy"],
        ["score", "scores.npy", "--calibration", "c.npy", "-o", "c.npy"],
    ],
)
def test_nothing_that_is_read_is_written_over(files, words):
    folder, *_ = files
    np.save(folder / "scores.npy", np.random.default_rng(0).normal(size=(30, 2)))
    np.save(folder / "y.npy", np.zeros(30, int))
    np.save(folder / "c.npy", np.zeros(30, int))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    done = run(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is read by this command" in done.stderr
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}
