"""The one solver: against scikit-learn's converged solutions, its own certificate, and itself in its two ways."""

import numpy as np
import pytest

import sigmax
from sigmax.regression import Own, Problem, Shared, newton, solve


def problem(name, penalty=1.0, free=True):
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    columns = 1 if y.max() == 1 else int(y.max()) + 1
    w = np.ones(len(x))
    design = Shared(x, columns, w, centred=free)
    weights = np.full(design.shape, penalty)
    weights[-1] = 0 if free else penalty
    return x, y, Problem(design, y.astype(float) if columns == 1 else y, w, weights, np.zeros((len(x), columns)))


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits", "iris"])
def test_the_solution_is_scikit_learns_where_that_converges(name):
    from sklearn.linear_model import LogisticRegression

    x, y, given = problem(name)
    found = solve(given)
    theirs = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    z = np.column_stack([x, np.ones(len(x))]) @ found.coefficients
    p = np.column_stack([sigmax.sigmoid(-z), sigmax.sigmoid(z)]) if z.shape[1] == 1 else sigmax.softmax(z)
    np.testing.assert_allclose(p, theirs.predict_proba(x), rtol=0, atol=1e-12)
    assert 0 <= found.gap < 1e-12
    assert found.steps <= 15
    # a free intercept makes the mean probability of each class its share
    np.testing.assert_allclose(p.mean(axis=0), np.bincount(y) / len(y), rtol=1e-11)


@pytest.mark.parametrize("name", ["wine", "iris"])
@pytest.mark.parametrize("free", [True, False])
def test_the_gap_bounds_what_is_left_at_every_step(name, free):
    _, _, given = problem(name, free=free)
    best = solve(given)
    n = float(given.weights.sum())
    for most in range(1, best.steps):
        early = solve(given, most=most)
        left = (early.objective - best.objective) / n
        assert -1e-12 <= left <= early.gap + 1e-12
    assert early.gap < 1  # and is no empty word


@pytest.mark.parametrize("free", [True, False])
def test_conjugate_gradients_end_where_cholesky_does(monkeypatch, free):
    for given in (problem("wine", free=free)[2], problem("iris", free=free)[2]):
        exact = solve(given)
        with monkeypatch.context() as patch:
            patch.setattr(newton, "FEW", 0)
            found = solve(given)
        assert found.objective == pytest.approx(exact.objective, rel=1e-11)
        assert found.gap < 1e-9


def test_a_diagonal_is_a_matrix_whose_other_coefficients_are_held_at_0():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(300, 4)) * [1, 10, 0.1, 3], rng.random(300)
    y = rng.integers(0, 4, 300)
    own = np.stack([np.full(4, 2.0), np.full(4, 0.5)])
    held = np.full((5, 4), np.inf)
    held[np.arange(4), np.arange(4)], held[-1] = 2.0, 0.5
    a = solve(Problem(Own(x, w), y, w, own, x))
    b = solve(Problem(Shared(x, 4, w, centred=False), y, w, held, x))
    assert a.objective == pytest.approx(b.objective, rel=1e-12)
    np.testing.assert_allclose(a.coefficients[0], b.coefficients[np.arange(4), np.arange(4)], rtol=1e-8)
    assert (b.coefficients[:-1][~np.eye(4, dtype=bool)] == 0).all()


def test_weights_are_repeated_rows_and_offsets_are_added():
    rng = np.random.default_rng(1)
    x, y, w = rng.normal(size=(200, 3)), rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    penalty, offset = np.ones((4, 3)), rng.normal(size=(200, 3))

    def run(rows, counts):
        counts = counts.astype(float)
        given = Problem(Shared(x[rows], 3, counts, centred=False), y[rows], counts, penalty, offset[rows])
        return solve(given)

    weighted, repeated = run(np.arange(200), w), run(np.arange(200).repeat(w), np.ones(w.sum()))
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-9, atol=1e-12)
    z = np.column_stack([x, np.ones(200)]) @ weighted.coefficients + offset
    g = np.column_stack([x, np.ones(200)]).T @ (w[:, None] * sigmax.cross_entropy_and_grad(z, y)[1])
    np.testing.assert_allclose(g + weighted.coefficients, 0, atol=1e-8)


def test_separation_is_seen_where_nothing_holds_the_coefficients():
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    w, y = np.ones(4), np.array([0.0, 0.0, 1.0, 1.0])
    design = Shared(x, 1, w, centred=True)
    free = Problem(design, y, w, np.zeros((2, 1)), np.zeros((4, 1)))
    assert solve(free).separated
    held = Problem(design, y, w, np.array([[1.0], [0.0]]), np.zeros((4, 1)))
    assert not solve(held).separated
    mixed = Problem(design, np.array([0.0, 1.0, 0.0, 1.0]), w, np.zeros((2, 1)), np.zeros((4, 1)))
    assert not solve(mixed).separated


def test_features_over_sixteen_decades_cost_no_digits():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(500, 4))
    y = (x.sum(axis=1) + rng.logistic(size=500) > 0).astype(float)
    scale = np.array([1e-8, 1.0, 1e8, 1e3])
    w = np.ones(500)

    def run(features, penalty):
        given = Problem(Shared(features, 1, w, centred=True), y, w, np.append(penalty, 0)[:, None], np.zeros((500, 1)))
        return solve(given)

    plain, scaled = run(x, np.ones(4)), run(x * scale, scale**2)
    np.testing.assert_allclose(scaled.coefficients[:-1, 0] * scale, plain.coefficients[:-1, 0], rtol=1e-9)
    assert scaled.steps == plain.steps


@pytest.mark.parametrize("offset", [30.0, 40.0, -40.0, 300.0])
def test_a_start_without_curvature_is_left_by_a_bound_on_it(offset):
    w, y = np.ones(8), np.r_[np.zeros(6), np.ones(2)]
    design = Shared(np.zeros((8, 0)), 1, w, centred=True)
    found = solve(Problem(design, y, w, np.zeros((1, 1)), np.full((8, 1), offset)))
    assert found.coefficients[0, 0] == pytest.approx(np.log(1 / 3) - offset, rel=1e-9)


def test_a_constant_feature_is_none_centred_or_not():
    x, w = np.full((10, 1), 0.1), np.ones(10)
    y = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    for centred in (True, False):
        design = Shared(x, 3, w, centred=centred)
        penalty = np.ones(design.shape)
        penalty[-1] = 0
        found = solve(Problem(design, y, w, penalty, np.zeros((10, 3))))
        assert found.objective == pytest.approx(-(5 * np.log(0.5) + 3 * np.log(0.3) + 2 * np.log(0.2)), rel=1e-12)


def test_platts_sigmoid_has_the_numbers_of_libsvm():
    # A and B of LIBSVM's sigmoid_train, for scores 5, -4, 1 of the classes +, -, - with Platt's smoothed targets
    scores, targets = np.array([5.0, -4.0, 1.0]), np.array([2 / 3, 1 / 4, 1 / 4])
    design = Shared(scores[:, None], 1, np.ones(3), centred=True)
    found = solve(Problem(design, targets, np.ones(3), np.zeros((2, 1)), np.zeros((3, 1))))
    a, b = -found.coefficients[:, 0]
    assert (a, b) == pytest.approx((-0.20261354391187855, 0.65236314980010512), abs=2e-5)  # where theirs stops
