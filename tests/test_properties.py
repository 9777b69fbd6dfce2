"""What must hold for every input, searched by Hypothesis."""

import numpy as np
import pytest
from family import DTYPES, ELEMENTWISE, ROWWISE, assert_same_bits, in_domain
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sigmax

dtypes = st.sampled_from([np.float32, np.float64])
all_dtypes = st.sampled_from(DTYPES)
shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=20) | st.tuples(st.integers(1, 3), st.integers(250, 300))


@st.composite
def scores(draw, largest=None, **kwargs):
    dtype = draw(dtypes)
    largest = largest or 2.0**100
    elements = st.floats(-largest, largest, width=16 if largest <= 1e4 else 32, **kwargs)
    return draw(hnp.arrays(dtype, draw(shapes), elements=elements, fill=st.nothing()))


@given(scores(allow_subnormal=True))
def test_sigmoid_is_monotone_bounded_and_shares_with_its_complement(x):
    x = np.sort(x.reshape(-1))
    p, q = sigmax.sigmoid(x), sigmax.sigmoid(-x)
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()
    np.testing.assert_allclose(p + q, 1, rtol=2 * np.finfo(x.dtype).eps)


@given(scores(allow_subnormal=True))
def test_logarithms_mirror_each_other(x):
    np.testing.assert_array_equal(sigmax.log_sigmoid(x), -sigmax.softplus(-x))
    assert (sigmax.softplus(x) >= np.maximum(x, 0)).all()


@given(dtypes.flatmap(lambda d: hnp.arrays(d, 50, elements=st.floats(2**-14, 0.875, width=16))))
def test_inverses(p):
    eps = np.finfo(p.dtype).eps
    np.testing.assert_allclose(sigmax.from_odds(sigmax.odds(p)), p, rtol=10 * eps)
    np.testing.assert_allclose(sigmax.sigmoid(sigmax.logit(p)), p, rtol=20 * eps)


@given(scores(), st.data())
def test_a_softmax_is_a_distribution_in_the_order_of_its_scores(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    p = sigmax.softmax(x, axis=axis)
    assert p.shape == x.shape
    assert p.dtype == x.dtype
    np.testing.assert_allclose(p.sum(axis=axis, dtype=np.float64), 1, rtol=x.shape[axis] * np.finfo(x.dtype).eps)
    order = x.argsort(axis=axis)
    assert (np.diff(np.take_along_axis(p, order, axis), axis=axis) >= 0).all()
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            np.exp(sigmax.log_softmax(x, axis=axis)), p, rtol=2e-5 if x.dtype == np.float32 else 2e-13, atol=1e-38
        )


@given(scores(largest=1000), st.integers(-2000, 2000))
def test_adding_the_same_to_every_score_changes_nothing(x, shift):
    x = np.round(x)  # so that the sums are exact
    np.testing.assert_allclose(
        sigmax.softmax(x + x.dtype.type(shift)), sigmax.softmax(x), rtol=4 * np.finfo(x.dtype).eps, atol=1e-44
    )
    np.testing.assert_allclose(
        sigmax.logsumexp(x + x.dtype.type(shift)),
        sigmax.logsumexp(x, dtype=np.float64) + shift,
        rtol=np.finfo(x.dtype).eps,
        atol=2**-41,  # what is rounded away at 3,000 and below
    )


@given(scores(largest=1000), st.data())
def test_a_row_has_the_same_bits_wherever_it_stands(x, data):
    rows = x.reshape(-1, x.shape[-1])
    i = data.draw(st.integers(0, len(rows) - 1))
    for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logsumexp):
        whole = function(rows)
        np.testing.assert_array_equal(function(rows[i]), whole[i])
        np.testing.assert_array_equal(function(np.asfortranarray(rows)), whole)
        np.testing.assert_array_equal(function(rows.T, axis=0), whole.T)
        wide = np.repeat(rows, 3, axis=1)[:, ::3]
        np.testing.assert_array_equal(function(wide), whole)


@given(scores(largest=1000), st.data())
def test_out_may_be_the_input_or_overlap_it(x, data):
    for function in (sigmax.softmax, sigmax.log_softmax):
        wanted = function(x)
        same = x.copy()
        function(same, out=same)
        np.testing.assert_array_equal(same, wanted)
        shift = data.draw(st.integers(0, 5))
        room = np.zeros(x.size + shift, x.dtype)
        source, target = room[: x.size].reshape(x.shape), room[shift:].reshape(x.shape)
        source[...] = x
        function(source, out=target)
        np.testing.assert_array_equal(target, wanted)


@given(scores(largest=100), st.data())
def test_masking_is_minus_infinity(x, data):
    mask = data.draw(hnp.arrays(bool, x.shape))
    garbage = data.draw(st.sampled_from([np.nan, np.inf, -1e30, 5.0]))
    for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logsumexp):
        got = function(np.where(mask, x, x.dtype.type(garbage)), where=mask)
        np.testing.assert_array_equal(got, function(np.where(mask, x, x.dtype.type(-np.inf))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_classes_are_the_sigmoid_of_the_difference(dtype):
    x = (np.arange(-400, 401) / 8).astype(dtype)
    p = sigmax.softmax(np.stack([x, np.zeros_like(x)], axis=1))
    np.testing.assert_allclose(p[:, 0], sigmax.sigmoid(x), rtol=2 * np.finfo(dtype).eps)


@st.composite
def any_scores(draw, **kwargs):
    """Scores of any dtype, in a view of any strides."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=9))
    x = draw(hnp.arrays(np.float16, shape, elements=st.floats(-60, 60, width=16, **kwargs), fill=st.nothing()))
    x = x.astype(draw(all_dtypes))
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
    room = np.zeros([abs(s) * n for s, n in zip(steps, shape, strict=True)], x.dtype)
    view = room[tuple(slice(None, None, s) for s in steps)]
    view[...] = x
    return view.transpose(draw(st.permutations(range(x.ndim))))


@given(any_scores(allow_infinity=False, allow_nan=False))
def test_strides_change_no_bit_of_an_elementwise_function(x):
    for name, function in ELEMENTWISE.items():
        inside = in_domain(name, x)
        view = x.copy() if x.flags.c_contiguous else x
        view[...] = inside
        with np.errstate(divide="ignore"):
            assert_same_bits(function(view), function(np.ascontiguousarray(view)))


@given(any_scores(allow_infinity=False, allow_nan=False), st.data())
def test_strides_and_masks_change_no_bit_of_a_row_function(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    mask = data.draw(hnp.arrays(bool, x.shape))
    garbage = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e4]))
    dirty = np.where(mask, x, x.dtype.type(garbage))
    rows = np.moveaxis(np.ascontiguousarray(x), axis, -1)
    for function in ROWWISE.values():
        wanted = function(x, axis=axis, where=mask)
        assert_same_bits(function(dirty, axis=axis, where=mask), wanted)
        last = function(rows, where=np.moveaxis(mask, axis, -1))
        moved = [np.moveaxis(y, axis, -1) if y.ndim == x.ndim else y for y in map(np.asarray, wanted)]
        assert_same_bits(last, moved)


@given(any_scores())
def test_nothing_but_the_domain_raises_a_flag(x):
    """Any scores at all, NaN and infinities too: only a domain error or a pole may be heard of, and no error is raised."""
    with np.errstate(all="raise", divide="ignore", invalid="ignore"):
        for function in ELEMENTWISE.values():
            function(x)
    with np.errstate(all="raise"):
        for function in ROWWISE.values():
            function(x)
