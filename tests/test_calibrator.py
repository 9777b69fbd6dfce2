"""Calibrators: what they mend, what they must never do, how they are kept, and what scikit-learn asks of them."""

import copy
import json
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from command import run

import sigmax
from sigmax.calibration import CalibratedModel, Calibrator, calibrate, calibration_error, calibration_test
from sigmax.calibration.fits import METHODS
from sigmax.calibration.given import fold_of
from sigmax.calibration.isotonic import pooled
from sigmax.calibration.saved import KINDS
from sigmax.calibration.temperature import best_temperature

METHODS_ALL = ["auto", *METHODS]


def drawn(rows, classes, times=1.0, seed=0):
    """Scores `times` as large as they should be, and labels."""
    rng = np.random.default_rng(seed)
    if classes == 2:
        z = 2.5 * rng.normal(size=rows)
        return z * times, (rng.random(rows) < sigmax.sigmoid(z)).astype(int)
    s = 2.0 * rng.normal(size=(rows, classes))
    return s * times, (s + rng.gumbel(size=s.shape)).argmax(axis=1)


def loss_of(calibrator, x, y):
    return float(-calibrator.predict_log_proba(x)[np.arange(len(y)), y].mean())


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("method", [m for m in METHODS_ALL if m != "none"])
def test_scores_three_times_too_large_are_mended(method, classes):
    x, y = drawn(3000, classes, 3.0)
    new, truth = drawn(5000, classes, 3.0, seed=1)
    right = loss_of(Calibrator("none").fit(x / 3, y), new / 3, truth)
    found = loss_of(Calibrator(method).fit(x, y), new, truth)
    assert found < right + (0.05 if method == "isotonic" else 0.02)
    assert loss_of(Calibrator("none").fit(x, y), new, truth) > right + 0.2


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("method", METHODS_ALL)
def test_calibrated_scores_stay_as_good(method, classes):
    """Where there is nothing to mend, little is lost."""
    x, y = drawn(300, classes)
    new, truth = drawn(20_000, classes, seed=1)
    before = loss_of(Calibrator("none").fit(x, y), new, truth)
    assert loss_of(Calibrator(method).fit(x, y), new, truth) < before + (
        0.1 if method in ("isotonic", "venn-abers") else 0.03
    )


# ---- the temperature ----


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_goes_with_the_scale_of_the_scores(classes, scale):
    x, y = drawn(2000, classes, 2.0)
    assert best_temperature(x * scale, y) == pytest.approx(best_temperature(x, y) * scale, rel=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_is_where_the_slope_is_0(classes):
    x, y = drawn(2000, classes, 2.0)
    t = best_temperature(x, y)
    pair = np.column_stack([np.zeros(len(x)), x]) if classes == 2 else x

    def loss(b):
        return float(sigmax.cross_entropy(pair, y, temperature=1 / b).sum())

    b, h = 1 / t, 1e-4
    slope, curvature = (loss(b + h) - loss(b - h)) / (2 * h), (loss(b + h) - 2 * loss(b) + loss(b - h)) / h**2
    assert abs(slope / curvature) < 1e-6 * b


def test_weights_of_the_temperature_are_repeated_rows():
    x, y = drawn(400, 3, 2.0)
    w = np.arange(400) % 3
    assert best_temperature(x, y, w.astype(float)) == pytest.approx(
        best_temperature(x.repeat(w, axis=0), y.repeat(w)), rel=1e-10
    )


def test_where_there_is_no_best_temperature_it_is_said():
    x = np.array([[3.0, 1.0], [2.0, 5.0], [1.0, 0.0]])
    assert best_temperature(x, np.array([0, 1, 0])) == 0
    assert best_temperature(x, np.array([1, 0, 1])) == math.inf
    with pytest.warns(UserWarning, match="the best temperature is 0"):
        found = Calibrator("temperature", scores="logits").fit(np.tile(np.eye(3), (10, 1)) * 4, np.tile([0, 1, 2], 10))
    p = found.predict_proba(np.eye(3) * 4)
    assert p.min() > 0
    np.testing.assert_allclose(p.diagonal(), 1 - 2 / 3 / 31, rtol=1e-14)
    with pytest.warns(UserWarning, match="infinite"):
        found = Calibrator("temperature", scores="logits").fit(np.tile(np.eye(3), (10, 1)) * 4, np.tile([1, 2, 0], 10))
    np.testing.assert_allclose(found.predict_proba(np.eye(3) * 4), 1 / 3)


def test_many_rows_begin_with_some_of_them():
    x, y = drawn(100_000, 3, 2.0)
    t = best_temperature(x, y)
    from sigmax.calibration.temperature import _newton

    assert t == pytest.approx(1 / _newton(x, y, None, 1.0), rel=1e-10)


# ---- ranks, ties and steps ----


@pytest.mark.parametrize("method", ["auto", "platt", "beta", "quadratic", "temperature", "isotonic"])
def test_ranks_of_two_classes_are_kept(method):
    rng = np.random.default_rng(3)
    for seed in range(5):
        x, y = drawn(120, 2, 2.0, seed)
        fitted = Calibrator(method).fit(x, y)
        assert (np.diff(fitted.decision_function(np.sort(rng.normal(size=500) * 100))) >= 0).all()
        if method != "isotonic":  # and no ties are made, but for those that are certain either way
            assert (np.diff(fitted.decision_function(np.linspace(-15, 15, 500))) > 0).all()


def test_a_parabola_that_would_turn_is_a_line_and_says_so():
    x = np.linspace(-4, 4, 400)
    y = (np.abs(x) > 2).astype(int)  # the second class at both ends
    found = Calibrator("quadratic").fit(x, y)
    assert found.method_ == "platt"
    assert "parabola" in found.notes_[0]
    with pytest.warns(UserWarning, match="the higher the score, the rarer"):
        found = Calibrator("quadratic").fit(x, (x < 0).astype(int))
    assert found.method_ == "prior"
    assert found.predict_proba([4.0])[0, 1] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(12))
def test_venn_abers_is_two_isotonic_regressions_with_the_row_in_them(seed):
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(seed)
    rows = int(rng.integers(2, 40))
    z = rng.normal(size=rows) if seed % 2 else rng.integers(-3, 4, rows).astype(float)  # and ties
    y = rng.integers(0, 2, rows)
    w = rng.exponential(size=rows) if seed % 3 else np.ones(rows)
    found = Calibrator("venn-abers", scores="logits", classes=[0, 1]).fit(z, y, w)
    new = np.concatenate([z, 2 * rng.normal(size=6), rng.integers(-4, 5, 4)])
    low, high = found.predict_interval(new)
    for i, value in enumerate(new):
        ends = []
        for label in (0, 1):
            more = IsotonicRegression(y_min=0, y_max=1).fit(np.append(z, value), np.append(y, label), np.append(w, 1))
            ends.append(float(more.predict([value])[0]))
        assert (low[i, 1], high[i, 1]) == pytest.approx(ends, abs=1e-7)
        assert (low[i, 0], high[i, 0]) == pytest.approx((1 - ends[1], 1 - ends[0]), abs=1e-7)
        p = found.predict_proba(new[i : i + 1])[0, 1]
        assert p == pytest.approx(ends[1] / (1 - ends[0] + ends[1]), abs=1e-7)
        assert low[i, 1] <= p <= high[i, 1]


def test_venn_abers_of_many_classes_and_of_many_rows():
    x, y = drawn(20_000, 4, 2.0)
    found = Calibrator("venn-abers").fit(x, y)
    again = Calibrator.from_json(found.to_json())
    low, high = again.predict_interval(x[:50])
    assert low.shape == high.shape == (50, 4)
    assert (low <= high).all()
    assert (again.predict_proba(x[:50]) == found.predict_proba(x[:50])).all()
    assert (
        loss_of(found, *drawn(5000, 4, 2.0, 1)) < loss_of(Calibrator("none").fit(x, y), *drawn(5000, 4, 2.0, 1)) - 0.1
    )
    with pytest.raises(ValueError, match="'platt' gives one probability; intervals are those of"):
        Calibrator("platt").fit(x[:, 0], y == 0).predict_interval(x[:, 0])


def test_pooling_is_isotonic_regression_as_defined():
    sklearn = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 60, 400):
        means, weights = rng.integers(0, 6, n) / 5, rng.integers(1, 5, n).astype(float)
        wanted = sklearn.isotonic_regression(means, sample_weight=weights)
        np.testing.assert_allclose(pooled(means, weights), wanted, rtol=1e-13, atol=0)


# ---- what broke others ----


def cases():
    rng = np.random.default_rng(9)
    x, y = drawn(60, 3)
    two, labels = drawn(60, 2)
    yield "every label the largest", x, x.argmax(axis=1)
    yield "every label the smallest", x, x.argmin(axis=1)
    yield (
        "one error in 5,000",
        np.linspace(19, 21, 5000)[:, None] * np.eye(2)[np.arange(5000) % 2],
        np.r_[1, np.arange(1, 5000) % 2],
    )
    yield "scores times 1e6", two * 1e6, labels
    yield "scores times 1e-6", x * 1e-6, y
    yield "scores near the largest", np.sign(two) * 1e308, labels
    yield "probabilities of 0 and 1", np.array([0.0, 1.0, 0.2, 1.0, 0.7, 0.0]), np.array([0, 1, 0, 0, 1, 0])
    yield "rows of 0 and 1", np.tile(np.eye(3), (4, 1)), np.arange(12) % 3
    yield "probabilities next to 1", np.full(40, 1 - 1e-9), np.r_[0, np.ones(39, int)]
    yield "a class without rows", x, np.minimum(y, 1)
    yield "two of five classes", rng.normal(size=(50, 5)), rng.integers(0, 2, 50)
    yield "a constant score", np.full(30, 0.3), rng.integers(0, 2, 30)
    yield "constant rows", np.ones((30, 4)), rng.integers(0, 4, 30)
    yield "one row", x[:1], y[:1]
    yield "two rows", two[:2], np.array([0, 1])
    yield "ties everywhere", np.round(x), y
    yield "float32", x.astype(np.float32), y
    yield "float16", two.astype(np.float16), labels
    yield "more classes than rows", rng.normal(size=(40, 60)), rng.integers(0, 60, 40)
    yield "one row infinite", np.r_[two, np.inf], np.r_[labels, 0]
    yield "one class certain", np.vstack([x, [np.inf, 0, 0]]), np.r_[y, 1]
    yield "one class impossible", np.vstack([x, [-np.inf, 0, 0]]), np.r_[y, 0]


CASES = {name: (x, y) for name, x, y in cases()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", [m for m in METHODS_ALL if m != "none"])
def test_no_case_raises_or_gives_a_0_where_a_class_occurs(name, method):
    x, y = CASES[name]
    classes = 2 if x.ndim == 1 else x.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        found = Calibrator(method, classes=range(classes)).fit(x, y)
        p, logs = found.predict_proba(x), found.predict_log_proba(x)
    assert np.isfinite(logs).all()
    assert (p[np.arange(len(y)), y] > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6 if x.dtype == np.float32 else 1e-13)
    assert p.shape == (len(y), classes)


def test_many_classes_take_a_diagonal():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 1000)) * 3
    y = (x + rng.gumbel(size=x.shape)).argmax(axis=1)
    found = Calibrator().fit(x * 2, y)
    assert found.method_ == "structured-diagonal"
    assert loss_of(found, x * 2, y) < loss_of(Calibrator("none").fit(x, y), x, y) + 0.02


def test_all_weights_0_but_one():
    x, y = drawn(50, 3)
    w = np.zeros(50)
    w[7] = 1
    found = Calibrator().fit(x, y, sample_weight=w)
    alone = Calibrator().fit(x[7:8], y[7:8])
    np.testing.assert_allclose(found.predict_proba(x), alone.predict_proba(x), rtol=1e-6)
    with pytest.raises(ValueError, match="all sample weights are zero"):
        Calibrator().fit(x, y, sample_weight=np.zeros(50))


# ---- what is given ----


def test_probabilities_and_logits_of_the_same_give_the_same():
    z, y = drawn(500, 2, 2.0)
    s, t = drawn(500, 4, 2.0)
    for logits, labels in ((z, y), (s, t)):
        p = sigmax.sigmoid(logits) if logits.ndim == 1 else sigmax.softmax(logits)
        wanted = Calibrator().fit(logits, labels)
        found = Calibrator().fit(p, labels)
        assert (found.form_, wanted.form_) == ("probabilities", "logits")
        np.testing.assert_allclose(found.predict_proba(p), wanted.predict_proba(logits), rtol=1e-9)
    logs = sigmax.log_softmax(s)
    found = Calibrator().fit(logs, t)
    assert found.form_ == "log-probabilities"
    np.testing.assert_allclose(found.predict_proba(logs), Calibrator().fit(s, t).predict_proba(s), rtol=1e-9)


def test_two_columns_are_one():
    z, y = drawn(300, 2, 2.0)
    pair = np.column_stack([np.full(300, 0.5), z + 0.5])
    np.testing.assert_allclose(
        Calibrator().fit(pair, y).predict_proba(pair), Calibrator().fit(z, y).predict_proba(z), rtol=1e-12
    )


def test_labels_by_name_go_by_the_columns():
    pandas = pytest.importorskip("pandas")
    s, y = drawn(300, 3, 2.0)
    names = np.array(["zebra", "cat", "owl"])
    frame = pandas.DataFrame(s, columns=names)
    found = Calibrator().fit(frame, names[y])
    assert found.classes_.tolist() == names.tolist()
    np.testing.assert_array_equal(found.predict_proba(frame), Calibrator().fit(s, y).predict_proba(s))
    assert set(found.predict(frame)) <= set(names)
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict_proba(frame[["cat", "owl", "zebra"]])
    # one of the classes has no row
    few = Calibrator().fit(frame[y != 2], names[y[y != 2]])
    assert few.classes_.tolist() == names.tolist()


@pytest.mark.parametrize(
    ("x", "y", "options", "told"),
    [
        ([[1.0, 2.0, 3.0]] * 4, ["a", "b", "a", "b"], {}, "classes=\\["),
        ([1.0, np.nan], [0, 1], {}, "row 1 has a NaN"),
        ([1.0, 2.0], [0, 1, 1], {}, "labels of shape"),
        ([1.0, 2.0], [0.5, 1], {}, "no class"),
        ([1.0, 2.0], [0, 1], {"method": "sigmoid"}, "method='sigmoid'"),
        ([1.0, 2.0], [0, 1], {"scores": "odds"}, "scores='odds'"),
        ([1.0, 2.0], [0, 1], {"scores": "probabilities"}, "2.0 is none of the probabilities"),
        ([[30.0, 70.0], [60.0, 40.0], [1.0, 99.0]] * 9, [0, 1, 1] * 9, {}, "percentages"),
        ([1.0, 2.0], [0, 7], {"classes": [0, 1]}, "the label 7 is none"),
        ([], [], {}, "0 sample"),
    ],
)
def test_what_cannot_be_meant_is_an_error(x, y, options, told):
    with pytest.raises(ValueError, match=told):
        Calibrator(**options).fit(x, y)


def test_float32_stays_float32():
    x, y = drawn(200, 3)
    found = Calibrator().fit(x.astype(np.float32), y)
    assert found.predict_proba(x.astype(np.float32)).dtype == np.float32
    assert found.predict_proba(x).dtype == np.float64


# ---- kept ----


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("method", METHODS_ALL)
def test_json_brings_back_the_same_bits(method, classes, tmp_path):
    x, y = drawn(200, classes, 2.0)
    found = Calibrator(method).fit(x, y)
    found.save(tmp_path / "c.json")
    for again in (Calibrator.load(tmp_path / "c.json"), pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        np.testing.assert_array_equal(again.decision_function(x), found.decision_function(x))
        assert again.to_json() == found.to_json()
    assert b"numpy" not in pickle.dumps(found)
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]


def test_labels_that_are_fractions_are_kept():
    z, y = drawn(50, 3)
    found = Calibrator(classes=[1.0, 2.0, 3.0]).fit(z, y + 1.0)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(z), found.predict(z))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.update(extra=1), "unknown 'extra'"),
        (lambda s: s.pop("rows"), "lacks 'rows'"),
        (lambda s: s.update(version=2), "version 2"),
        (lambda s: s.update(format="pickle"), "format"),
        (lambda s: s.update(rows=0), "rows"),
        (lambda s: s["map"].update(kind="eval"), "no kind of map"),
        (lambda s: s["map"].update(shift="1"), "no number"),
        (lambda s: s["map"].update(more=1), "has shift"),
        (lambda s: s.update(classes=[0, 0]), "classes"),
        (lambda s: s.update(classes=[0, 1, 2]), "classes"),
        (lambda s: s.update(method="magic"), "magic"),
        (lambda s: s["map"].update(slope=-1), "falls somewhere"),
        (lambda s: s["map"].update(curve=10), "falls somewhere"),
        (lambda s: s["map"].update(slope="inf"), "finite"),
        (lambda s: s["map"].update(shift=[1.0]), "no number"),
        (lambda s: s["map"].update(shift=10**400), "too large"),
        (lambda s: s.update(map={"kind": "OneVsRest", "maps": 5}), "no list"),
        (lambda s: s.update(map={"kind": ["x"]}), "no kind"),
        (lambda s: s.update(map={"kind": "Steps", "at": 1.0, "probability": [0.5]}), "no list"),
        (
            lambda s: s.update(
                map={"kind": "Affine", "temperature": 1, "weights": [0, 0], "bias": [0, 0], "centred": True}
            ),
            "more than two",
        ),
        (lambda s: s.update(rows="inf"), "rows"),
        (lambda s: s.update(columns=["a", "a"]), "columns|name"),
    ],
)
def test_a_text_that_is_no_calibrator_is_refused(change, told):
    x, y = drawn(100, 2)
    state = json.loads(Calibrator().fit(x, y).to_json())
    change(state)
    with pytest.raises(ValueError, match=told):
        Calibrator.from_json(json.dumps(state))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a": 1, "a": 2}',
        "",
        "[]",
        "{}",
        "null",
        '{"format": "sigmax calibrator", "version": 1, "rows": NaN}',
        "\x00",
    ],
)
def test_what_is_not_even_json_is_refused(text):
    with pytest.raises(ValueError, match="no calibrator"):
        Calibrator.from_json(text)


# ---- cross-fitting ----


def test_held_out_scores_are_honest():
    """Of scores without any meaning nothing is gained; the fit itself believes it gains."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 4)), rng.integers(0, 4, 200)
    calibrator, held_out = calibrate(x, y)
    assert calibrator.loss_after_ < calibrator.loss_before_
    assert float(sigmax.cross_entropy(held_out, y).mean()) > math.log(4) - 0.02


def test_rows_of_a_group_stay_together():
    rng = np.random.default_rng(0)
    group = np.array(["a", "b", "c", "d", "e", "f", "g"])[rng.integers(0, 7, 400)]
    x, y = drawn(400, 3, 2.0)
    _, held_out = calibrate(x, y, method="platt", groups=group, folds=3)
    folds = fold_of(7, 3)
    for fold in range(3):
        out = np.isin(group, [name for name, k in zip("abcdefg", folds, strict=True) if k == fold])
        others = Calibrator("platt").fit(x[~out], y[~out])
        np.testing.assert_array_equal(held_out[out], others.decision_function(x[out]))


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_what_was_kept_once_says_the_same_for_ever(name):
    text = (GOLDEN / f"{name}.json").read_text(encoding="utf-8")
    found = Calibrator.from_json(text)
    assert json.loads(found.to_json()) | {"created_by": ""} == json.loads(text) | {"created_by": ""}
    expected = json.loads((GOLDEN / f"{name}.expected").read_text(encoding="utf-8"))
    p = found.predict_proba(np.array(expected["scores"]))
    np.testing.assert_allclose(p, expected["probabilities"], rtol=1e-13)  # products of matrices may round otherwise


def test_every_kind_of_map_was_kept_once():
    def kinds(state):
        yield state["kind"]
        for one in state.get("maps", ()):
            yield from kinds(one)

    kept = {kind for path in GOLDEN.glob("*.json") for kind in kinds(json.loads(path.read_text())["map"])}
    assert kept == set(KINDS)


# ---- elsewhere ----

ELSEWHERE = [
    (method, classes, form)
    for method in METHODS_ALL
    if method not in ("isotonic", "venn-abers")
    for classes in (2, 4)
    for form in ("logits", "probabilities")
]


def fitted_for_elsewhere(method, classes, form, columns=1):
    x, y = drawn(300, classes, 2.5)
    if classes == 2 and columns == 2:
        x = np.column_stack([np.zeros(len(x)), x])
    if form == "probabilities":
        x = sigmax.sigmoid(x) if x.ndim == 1 else sigmax.softmax(x)
    if classes > 2 or columns == 2:
        certain = np.eye(x.shape[1])  # a row for each class
        x[: len(certain)] = certain if form == "probabilities" else np.where(certain, 5.0, -np.inf)
    else:
        x[:2] = [0.0, 1.0] if form == "probabilities" else [-np.inf, np.inf]
    names = ["ant", "bee's", 'c"at', "dog"][:classes]
    return Calibrator(method, scores=form, classes=names).fit(x, np.array(names, object)[y]), x


@pytest.mark.parametrize(("method", "classes", "form"), ELSEWHERE)
@pytest.mark.parametrize("columns", [1, 2])
def test_an_onnx_model_says_the_same(method, classes, form, columns):
    onnxruntime = pytest.importorskip("onnxruntime")
    found, x = fitted_for_elsewhere(method, classes, form, columns)
    session = onnxruntime.InferenceSession(found.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    (p,) = session.run(["probabilities"], {"scores": x.reshape(len(x), -1)})
    np.testing.assert_allclose(p, found.predict_proba(x), rtol=1e-11, atol=1e-15)
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["classes"]) == list(found.classes_)
    assert properties["scores"] == form


@pytest.mark.parametrize(("method", "classes", "form"), ELSEWHERE)
@pytest.mark.parametrize("columns", [1, 2])
def test_a_query_says_the_same(method, classes, form, columns):
    duckdb = pytest.importorskip("duckdb")
    import pyarrow as pa

    found, x = fitted_for_elsewhere(method, classes, form, columns)
    names = [f"s {k}" for k in range(x.reshape(len(x), -1).shape[1])]
    table = pa.table(dict(zip(names, x.reshape(len(x), -1).T, strict=True)) | {"id": np.arange(len(x))})
    missing = pa.table({n: pa.array([None if n == "s 0" else 0.5, np.nan]) for n in names} | {"id": [-1, -2]})
    connection = duckdb.connect()
    connection.register("scores", pa.concat_tables([table, missing]))
    result = connection.sql(found.to_sql("scores", columns=names) + " ORDER BY id").to_arrow_table()
    made = [f"p_{c}" for c in found.classes_]
    assert result.column_names == [*names, "id", *made]
    assert [result[n].to_pylist()[:2] for n in made] == [[None, None]] * classes
    p = np.column_stack([result[n].to_numpy()[2:] for n in made])
    np.testing.assert_allclose(p, found.predict_proba(x), rtol=1e-11, atol=1e-15)


def test_a_query_keeps_columns_of_any_usual_name():
    duckdb = pytest.importorskip("duckdb")
    import pyarrow as pa

    x, y = drawn(300, 3)
    found = Calibrator().fit(x, y)
    others = ["_x0", "_y0", "_z0", "_e0", "_p0", "_sum", "_low", "_best"]
    table = pa.table({f"s{k}": x[:, k] for k in range(3)} | dict.fromkeys(others, np.full(300, 7.0)))
    connection = duckdb.connect()
    connection.register("t", table)
    result = connection.sql(found.to_sql("t", columns=["s0", "s1", "s2"])).to_arrow_table()
    assert result.column_names == [*table.column_names, "p_0", "p_1", "p_2"]
    p = np.column_stack([result[f"p_{k}"].to_numpy() for k in range(3)])
    np.testing.assert_allclose(p, found.predict_proba(x), rtol=1e-11)


@pytest.mark.parametrize("form", ["logits", "probabilities"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_missing_score_is_no_probability_in_onnx(form, classes):
    onnxruntime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, classes))
    x = sigmax.softmax(x) if form == "probabilities" else x
    found = Calibrator("platt", scores=form).fit(x, (x + rng.gumbel(size=x.shape)).argmax(axis=1))
    session = onnxruntime.InferenceSession(found.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    rows = np.full((2, classes), 0.5)
    rows[0, 0] = np.nan
    (p,) = session.run(None, {"scores": rows})
    assert np.isnan(p[0]).all()
    assert np.isfinite(p[1]).all()


def test_what_has_no_formula_is_not_exported(tmp_path):
    x, y = drawn(300, 2)
    steps = Calibrator("isotonic").fit(x, y)
    for export in (steps.to_onnx, lambda: steps.to_sql("t", ["s"])):
        with pytest.raises(ValueError, match="a map of steps has no formula; export one of the other methods"):
            export()
    found = Calibrator("platt").fit(x, y)
    with pytest.raises(ValueError, match="0 columns for 1 scores; name them"):
        found.to_sql("t")
    with pytest.raises(ValueError, match="ends in .onnx"):
        found.to_onnx(tmp_path / "c.json")
    found.to_onnx(tmp_path / "c.onnx")
    assert (tmp_path / "c.onnx").read_bytes() == found.to_onnx().SerializeToString()


# ---- scikit-learn ----


def test_a_probability_of_one_of_many_classes_that_is_rarer_than_was_ever_counted_stands_for_one_in_a_thousand_million():
    x, y = drawn(2000, 4, 40.0)
    p = sigmax.softmax(x)
    assert (p < 1e-30).mean() > 0.2
    found = Calibrator("temperature").fit(p, y)
    same = Calibrator("temperature", scores="logits").fit(np.maximum(np.log(np.maximum(p, 1e-300)), np.log(1e-9)), y)
    np.testing.assert_allclose(
        found.predict_proba(p[:9]), same.predict_proba(np.log(np.maximum(p[:9], 1e-9))), rtol=1e-9
    )
    assert (Calibrator("none").fit(p, y).predict_proba(p) < 1e-20).any()
    again = Calibrator.from_json(found.to_json())
    np.testing.assert_array_equal(again.predict_proba(p[:9]), found.predict_proba(p[:9]))


def test_scikit_learns_checks_pass():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = checks.check_estimator(CalibratedModel(LogisticRegression()), on_fail=None, on_skip=None)
    assert len(found) > 50
    failed = [r["check_name"] for r in found if r["status"] == "failed"]
    # rows go to folds by their place, as in scikit-learn's own CalibratedClassifierCV: weights are not repeated rows there
    assert [name for name in failed if not name.startswith("check_sample_weight_equivalence")] == []


def test_it_works_in_pipelines_and_searches():
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    x, y = drawn(400, 3, 3.0)
    search = GridSearchCV(Calibrator(), {"method": ["none", "temperature", "auto"]}, scoring="neg_log_loss").fit(x, y)
    assert search.best_params_["method"] != "none"
    x, y = drawn(400, 3)
    piped = make_pipeline(FunctionTransformer(np.log), Calibrator("temperature")).fit(sigmax.softmax(x), y)
    np.testing.assert_allclose(
        piped.predict_proba(sigmax.softmax(x)), Calibrator("temperature").fit(x, y).predict_proba(x), rtol=1e-9
    )
    copied = clone(Calibrator("platt", scores="logits"))
    assert copied.get_params() == {"method": "platt", "scores": "logits", "classes": None}


def test_a_model_is_wrapped_by_its_best_scores():
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits
    from sklearn.linear_model import RidgeClassifier
    from sklearn.metrics import log_loss
    from sklearn.naive_bayes import GaussianNB

    x, y = load_digits(return_X_y=True)
    names = np.array([f"digit {k}" for k in range(10)])[y]
    for model in (GaussianNB(var_smoothing=1e-2), RidgeClassifier()):
        model.fit(x[:600], names[:600])
        found = CalibratedModel(model).fit(x[600:1200], names[600:1200])
        assert found.calibrator_.form_ == ("logits" if isinstance(model, RidgeClassifier) else "log-probabilities")
        loss = log_loss(names[1200:], found.predict_proba(x[1200:]), labels=found.classes_)
        assert loss < 0.75
        if isinstance(model, GaussianNB):
            assert loss < log_loss(names[1200:], model.predict_proba(x[1200:])) / 2
        assert (found.predict(x[1200:]) == names[1200:]).mean() > 0.75


# ---- the command ----


@pytest.fixture
def files(tmp_path):
    x, y = drawn(600, 3, 3.0)
    lines = [f"{','.join(map(repr, row.tolist()))},{'abc'[k]}" for row, k in zip(x, y, strict=True)]
    (tmp_path / "valid.csv").write_text("\n".join(["s_a,s_b,s_c,truth", *lines[:400]]) + "\n")
    (tmp_path / "new.csv").write_text("\n".join(["s_a,s_b,s_c,truth", *lines[400:], ",1,2,a"]) + "\n")
    return tmp_path, x, y


def sigmax_command(folder, *words):
    return run(*words, cwd=folder)


def test_the_command_calibrates_and_scores(files):
    import pandas
    import pyarrow.csv

    folder, x, y = files
    done = sigmax_command(folder, "calibrate", "valid.csv", "--label", "truth", "-o", "c.json")
    assert done.returncode == 0, done.stderr
    assert "of their log-loss on new rows" in done.stdout
    found = Calibrator.load(folder / "c.json")
    assert found.classes_.tolist() == ["a", "b", "c"]
    done = sigmax_command(folder, "score", "new.csv", "--label", "truth", "--calibration", "c.json", "-o", "p.csv")
    assert done.returncode == 0, done.stderr
    assert "calibrated by structured (400 rows)" in done.stdout
    table = pyarrow.csv.read_csv(folder / "p.csv")
    p = np.column_stack([table[f"p_{k}"].to_numpy()[:-1] for k in "abc"])
    frame = pandas.DataFrame(x, columns=["s_a", "s_b", "s_c"])
    np.testing.assert_allclose(p, found.predict_proba(frame[400:]), rtol=1e-12)
    assert table["p_a"][-1].as_py() is None
    direct = Calibrator(classes=["a", "b", "c"]).fit(x[:400], np.array(list("abc"))[y[:400]])
    np.testing.assert_array_equal(direct.predict_proba(x), found.predict_proba(frame))


def test_the_command_calibrates_by_several_files(files):
    folder, *_ = files
    (folder / "parts").mkdir()
    head, *lines = (folder / "valid.csv").read_text().splitlines()
    for i, part in enumerate((lines[:150], lines[150:])):
        (folder / "parts" / f"{i}.csv").write_text("\n".join([head, *part]) + "\n")
    for name, source in (("one", ["valid.csv"]), ("folder", ["parts"]), ("two", ["parts/0.csv", "parts/1.csv"])):
        done = sigmax_command(folder, "calibrate", *source, "--label", "truth", "-o", f"{name}.json")
        assert done.returncode == 0, done.stderr
    assert len({(folder / f"{name}.json").read_text() for name in ("one", "folder", "two")}) == 1
    done = sigmax_command(folder, "calibrate", "--label", "truth")
    assert (done.returncode, done.stdout) == (2, "")
    assert "name the files to calibrate by" in done.stderr


def test_the_command_takes_probabilities_and_single_scores(tmp_path):
    z, y = drawn(400, 2, 3.0)
    for name, values in (("logit", z), ("chance", sigmax.sigmoid(z))):
        lines = [f"{v!r},{k}" for v, k in zip(values.tolist(), y, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"{name},truth", *lines]) + "\n")
        words = ["--label", "truth", "--columns", name]
        done = sigmax_command(tmp_path, "calibrate", f"{name}.csv", *words, "-o", f"{name}.json")
        assert done.returncode == 0, done.stderr
        done = sigmax_command(
            tmp_path, "score", f"{name}.csv", *words, "--calibration", f"{name}.json", "-o", f"{name}.npy"
        )
        assert done.returncode == 0, done.stderr
    logits, chances = (np.load(tmp_path / f"{name}.npy") for name in ("logit", "chance"))
    np.testing.assert_allclose(logits, chances, rtol=1e-6)  # 1 - p has lost digits
    np.testing.assert_allclose(logits, Calibrator().fit(z, y).predict_proba(z), rtol=1e-12)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["calibrate", "valid.csv", "-o", "c.json"], "--label"),
        (["calibrate", "valid.csv", "--label", "truth", "-o", "c.pkl"], "end in .json"),
        (["calibrate", "valid.csv", "--label", "truth", "--temperature", "2"], "leave --temperature away"),
        (["calibrate", "valid.csv", "--label", "truth", "--calibration", "c.json"], "leave --calibration away"),
        (["calibrate", "valid.csv", "--label", "truth", "--kind", "multilabel"], "many labels"),
        (["score", "other.csv", "--calibration", "c.json"], "there is no column 's_a'"),
        (
            ["score", "new.csv", "--calibration", "c.json", "--temperature", "2"],
            "either the temperature or the calibration",
        ),
        (
            ["score", "renamed.csv", "--calibration", "c.json", "--columns", "s_c", "s_b", "x"],
            "fitted to the columns s_a",
        ),
        (["calibrate", "valid.csv", "--label", "truth", "-o", "no/c.json"], "there is no folder no"),
        (["score", "new.csv", "--calibration", "valid.csv"], "valid.csv: this is no calibrator"),
        (["score", "new.csv", "--calibration", "none.json"], "none.json"),
        (["score", "new.csv", "--calibration", "c.json", "--classes", "c", "b", "a"], "fitted to the classes a, b, c"),
        (
            ["score", "new.csv", "--calibration", "c.json", "--columns", "s_c", "s_b", "s_a"],
            "fitted to the columns s_a",
        ),
        (["score", "new.csv", "--calibration", "c.json", "--kind", "multilabel"], "of the kind softmax"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(files, words, told):
    folder, x, y = files
    frame = Calibrator(classes=["a", "b", "c"]).fit(x, np.array(list("abc"))[y])
    frame.feature_names_in_ = np.array(["s_a", "s_b", "s_c"], dtype=object)
    frame.save(folder / "c.json")
    (folder / "other.csv").write_text("t_a,t_b,t_c\n1,2,3\n")
    (folder / "renamed.csv").write_text("x,s_b,s_c\n1,2,3\n")
    done = sigmax_command(folder, *words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr


def test_a_rerun_with_another_calibrator_is_refused(files):
    folder, x, y = files
    (folder / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / "new.csv").rename(folder / "in" / name) if name == "a.csv" else None
        (folder / "in" / name).write_text((folder / "in" / "a.csv").read_text())
    found = Calibrator(classes=["a", "b", "c"]).fit(x, np.array(list("abc"))[y])
    found.save(folder / "c.json")
    words = ["score", "in", "--label", "truth", "--calibration", "c.json", "-o", "out"]
    assert sigmax_command(folder, *words).returncode == 0
    assert sigmax_command(folder, *words).returncode == 0
    Calibrator("temperature", classes=["a", "b", "c"]).fit(x, np.array(list("abc"))[y]).save(folder / "c.json")
    done = sigmax_command(folder, *words)
    assert done.returncode == 2
    assert "holds results made with calibration" in done.stderr


def test_the_temperature_is_the_best_of_300_problems():
    """One in 75 was an eighth of it, where all steps had come from one side."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        classes = int(rng.integers(3, 6))
        s = 2 * rng.normal(size=(int(rng.integers(20, 300)), classes))
        y = (s + rng.gumbel(size=s.shape)).argmax(axis=1)
        x = s * 10 ** rng.uniform(-2, 2)
        t = best_temperature(x, y)
        least = float(sigmax.cross_entropy(x, y, temperature=t).sum())
        for other in (0.9 * t, 1.1 * t):
            assert float(sigmax.cross_entropy(x, y, temperature=other).sum()) > least
    rng = np.random.default_rng(0)
    s = 2 * rng.normal(size=(600, 3))
    y = (s + rng.gumbel(size=s.shape)).argmax(axis=1)
    found = Calibrator().fit(2 * s, y)
    assert found.loss_after_ < 0.62 < found.loss_before_


def test_the_order_of_the_rows_is_no_pattern_of_the_folds():
    """Five classes in turn, and calibrated: folds by place would leave each class out of one."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 5
    s = np.log(5) * np.eye(5)[y] + rng.gumbel(size=(600, 5))
    for x, labels in ((s, y), (rng.normal(size=600), (np.arange(600) % 5 == 0).astype(int))):
        _, held_out = calibrate(x, labels)
        before, after = (
            float((sigmax.binary_cross_entropy if x.ndim == 1 else sigmax.cross_entropy)(z, labels).mean())
            for z in (x, held_out)
        )
        assert after < before + 0.02


def test_harm_is_said():
    from sigmax.calibration.judged import Judged

    loss = np.full(100, 0.5), np.linspace(0.55, 0.65, 100)
    right = np.ones(100, bool)
    fine = calibration_error(np.full(100, 0.99), right)
    found = Judged(Calibrator().fit(*drawn(50, 2)), loss, (right, right), (fine, fine), loss)
    assert "does harm" in found.sentence()


def test_columns_are_the_classes_that_they_are_named_after():
    pandas = pytest.importorskip("pandas")
    s, y = drawn(200, 3, 2.0)
    wanted = Calibrator(classes=[2, 1, 0]).fit(s, y).predict_proba(s)
    for names, labels in (
        (["2", "1", "0"], y),
        (["logit_2", "logit_1", "logit_0"], y),
        (["logit_c", "logit_b", "logit_a"], np.array(list("abc"))[y]),
    ):
        found = Calibrator().fit(pandas.DataFrame(s, columns=names), labels)
        assert [str(c) for c in found.classes_] == [n[-1] for n in names]
        np.testing.assert_allclose(found.predict_proba(pandas.DataFrame(s, columns=names)), wanted, rtol=1e-9)
    plain = Calibrator().fit(pandas.DataFrame(s, columns=["u", "v", "w"]), y)
    assert plain.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="not the names of the columns"):
        Calibrator().fit(pandas.DataFrame(s, columns=["u", "v", "w"]), np.array(list("abc"))[y])


def test_what_does_not_go_together_is_refused():
    pandas = pytest.importorskip("pandas")
    s, y = drawn(200, 3, 2.0)
    z, t = drawn(200, 2)
    with pytest.raises(ValueError, match="different indexes"):
        Calibrator().fit(pandas.Series(z), pandas.Series(t, index=np.arange(200)[::-1]))
    with pytest.raises(ValueError, match="masked"):
        Calibrator().fit(np.ma.masked_greater(z, 1), t)
    with pytest.raises(ValueError, match="masked"):
        calibration_test(np.ma.masked_greater(sigmax.sigmoid(z), 0.5), t)
    logits = Calibrator().fit(s, y)
    with pytest.raises(ValueError, match="those of the fit were logits"):
        logits.predict_proba(sigmax.softmax(s))
    np.testing.assert_array_equal(logits.calibrated(s), logits.decision_function(s))  # of arrays nothing is noticed
    assert logits.calibrated(sigmax.softmax(s)).shape == s.shape
    with pytest.raises(ValueError, match="add up to 2.7, not to 1"):
        Calibrator().fit(sigmax.softmax(s), y).predict_proba([[0.9, 0.9, 0.9]])
    with pytest.raises(ValueError, match="add up to"):
        Calibrator().fit(sigmax.log_softmax(s), y).predict_proba(sigmax.log_softmax(s) - 50)
    with pytest.raises(ValueError, match="different ones"):
        Calibrator(classes=[1, 1, 2]).fit(s, y)
    with pytest.warns(UserWarning, match="add up to 1"):
        Calibrator().fit(z, t, sample_weight=np.full(200, 1 / 200))


def test_a_rounding_above_1_is_1():
    s, y = drawn(300, 3, 4.0)
    p = sigmax.softmax(s.astype(np.float32)).astype(np.float64)
    p[p.max(axis=1) > 0.999] *= 1 + 2e-7
    found, held_out = calibrate(p, y)
    assert found.form_ == "probabilities"
    assert np.isfinite(held_out).all()


def test_the_score_is_the_accuracy_of_labels_of_any_form():
    s, y = drawn(300, 3)
    found = Calibrator().fit(s, y)
    wanted = float((found.predict(s) == y).mean())
    with pytest.warns(match="column-vector"):
        assert found.score(s, y[:, None]) == wanted
    assert found.score(s, y.astype(str)) == found.score(s, y.astype(float)) == wanted
    assert Calibrator("none").fit([1.0, -1.0], [1, 0]).predict([0.0]).tolist() == [1]
