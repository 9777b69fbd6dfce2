"""What the core sums over rows of features, beside the same in NumPy: ``compare()``, which test_levels runs at each level."""

from __future__ import annotations

import numpy as np

from sigmax import _native


def drawn(rng: np.random.Generator, rows: int, features: int) -> np.ndarray:
    """Return features of either type and of any strides."""
    x = rng.normal(size=(2 * rows, 2 * features + 1)).astype(rng.choice(["f4", "f8"]))
    ways = (
        x[:rows, :features].copy(),
        np.asfortranarray(x[:rows, :features]),
        x[::2, 1::2],
        x[rows - 1 :: -1, :features],
        x[:rows, features:0:-1],
    )
    return ways[rng.integers(len(ways))]


def off(found: np.ndarray, right: np.ndarray) -> float:
    """Return the largest error, in terms of the largest number."""
    return float(np.abs(np.asarray(found) - right).max() / max(np.abs(right).max(), 1.0))


def one(rng: np.random.Generator, rows: int, features: int, classes: int) -> float:
    """Return the largest error of all that is asked of drawn features; a single class is the second of two."""
    x = drawn(rng, rows, features)
    shift, scale = rng.normal(size=features), rng.uniform(0.5, 2, features)
    a = np.column_stack([(x.astype(float) - shift) * scale, np.ones(rows)])
    theta, v = 0.3 * rng.normal(size=(2, features + 1, classes))
    w = rng.uniform(0, 2, rows)
    offset = rng.normal(size=(rows, classes)) if rng.random() < 0.5 else None
    z = a @ theta + (0 if offset is None else offset)
    label = targets = None
    if classes == 1:
        p, lse = 1 / (1 + np.exp(-z)), np.logaddexp(0, z[:, 0])
        q = targets = (rng.random((rows, 1)) < 0.5).astype(float)
        ahead = ((2 * q - 1) * z).min()
    else:
        lse = np.logaddexp.reduce(z, axis=1)
        p = np.exp(z - lse[:, None])
        ahead = 0.0
        if rng.random() < 0.5:
            label = rng.integers(0, classes, rows)
            q = np.eye(classes)[label]
            ahead = (z[np.arange(rows), label] - np.where(q == 1, -np.inf, z).max(axis=1)).min()
        else:
            q = targets = rng.dirichlet(np.ones(classes), rows)
    slopes = w[:, None] * (p - q)
    bends = w[:, None, None] * (p[:, :, None] * ((0 if classes == 1 else np.eye(classes)) - p[:, None, :]))
    bends = bends + (w * p[:, 0])[:, None, None] if classes == 1 else bends
    hessian = np.einsum("ra,rkm,rb->akbm", a, bends, a, optimize=True).reshape((features + 1) * classes, -1)
    u = a @ v
    bent = a.T @ np.einsum("rkm,rm->rk", bends, u)
    losses = w * (lse - (q * z).sum(axis=1))
    sums = [losses.sum(), (losses - (slopes * z).sum(axis=1)).sum(), 0.0, ahead]
    sums[2] = 0.0 if offset is None else float(w @ (p * offset).sum(axis=1))

    def empty(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan)

    scores, chances, pulled, squares = (
        empty(rows, classes),
        empty(rows, classes),
        empty(*theta.shape),
        empty(*hessian.shape),
    )
    _native.feature_scores(x, shift, scale, classes, theta, scores)
    found = _native.feature_losses(x, shift, scale, classes, theta, offset, targets, label, w, chances, pulled, squares)
    errors = [off(scores, a @ theta), off(chances, p), off(pulled, a.T @ slopes), off(squares, hessian)]
    errors += [off(f, np.asarray(s)) for f, s in zip(found, sums, strict=True)]
    pulled, squares, gram = empty(*theta.shape), empty(*hessian.shape), empty(features + 1, features + 1)
    _native.feature_sums(x, shift, scale, classes, slopes, pulled, None, None, None)
    _native.feature_sums(x, shift, scale, classes, None, None, p, w, squares)
    _native.feature_sums(x, shift, scale, 1, None, None, None, w, gram)
    errors += [off(pulled, a.T @ slopes), off(squares, hessian), off(gram, (a * w[:, None]).T @ a)]
    first, second = empty(features + 1), empty(features + 1)
    _native.feature_moments(x, shift, scale, w, first, second)
    errors += [off(first, w @ a), off(second, w @ a**2)]
    _native.feature_bent(x, shift, scale, classes, p, w, v, pulled)
    return max(*errors, off(pulled, bent))


def compare() -> float:
    """Return the largest error of many shapes: rows that fill no run of rows, or several parts; features and classes that fill no register."""
    rng = np.random.default_rng(0)
    shapes = [
        (
            int(rng.integers(1, 9500 if i % 8 == 0 else 700)),
            int(rng.integers(1, 30)),
            int(rng.choice([1, 1, 2, 3, 5, 7, 11])),
        )
        for i in range(120)
    ]
    return max(one(rng, *shape) for shape in shapes)
