"""Tables and columns: nulls, names, groups, laziness; SQL; which library is asked, and what is said where one is missing."""

import subprocess
import sys

import dask.array as da
import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

import sigmax
import sigmax.special
from sigmax import groups
from sigmax.sql import create_macros

RNG = np.random.default_rng(5)
P = sigmax.softmax([1.0, 2.0])


def test_nulls_stay_and_the_others_share_the_whole():
    scores = [1.0, None, 2.0]
    wanted = [P[0], None, P[1]]
    array = pa.array(scores)
    assert sigmax.softmax(array).to_pylist() == wanted
    assert sigmax.sigmoid(array).to_pylist() == [sigmax.sigmoid(1.0), None, sigmax.sigmoid(2.0)]
    assert sigmax.softmax(pa.chunked_array([[1.0, None], [2.0]])).to_pylist() == wanted
    assert sigmax.softmax(pl.Series("s", scores)).to_list() == wanted
    assert sigmax.softmax(pd.Series(scores, dtype="Float64")).tolist() == [P[0], pd.NA, P[1]]
    assert sigmax.logsumexp(array).as_py() == sigmax.logsumexp([1.0, 2.0])
    assert sigmax.logsumexp(pa.array([None, None], pa.float64())).as_py() is None
    assert sigmax.softmax(pa.array([None, None])).to_pylist() == [None, None]
    # a NaN is not a null
    assert np.isnan(sigmax.softmax(pa.array([1.0, np.nan])).to_numpy()).all()
    assert np.isnan(sigmax.softmax(pd.Series([1.0, np.nan]))).all()
    with pytest.raises(TypeError, match="string"):
        sigmax.softmax(pa.array(["a"]))


def test_rows_of_a_table():
    table = pa.table({"a": [1.0, 3.0], "b": [2.0, None], "c": pa.array([None, 4], pa.int64())})
    got = sigmax.softmax(table)
    assert isinstance(got, pa.Table)
    assert got.to_pydict() == {
        "a": [P[0], P[0]],
        "b": [P[1], None],
        "c": [None, P[1]],
    }
    assert sigmax.cross_entropy(table, pa.array([0, None])).to_pylist() == [-sigmax.log_softmax([1.0, 2.0])[0], None]
    assert sigmax.cross_entropy(table, pa.array([2, 2])).to_pylist() == [None, -sigmax.log_softmax([3.0, 4.0])[1]]
    assert sigmax.logsumexp(table.to_batches()[0]).to_pylist() == [
        sigmax.logsumexp([1.0, 2.0]),
        sigmax.logsumexp([3.0, 4.0]),
    ]
    frame = pl.from_arrow(table)
    assert sigmax.softmax(frame).to_dict(as_series=False) == got.to_pydict()
    nullable = table.to_pandas(types_mapper={pa.float64(): pd.Float64Dtype(), pa.int64(): pd.Int64Dtype()}.get)
    nullable.index = ["x", "y"]
    made = sigmax.softmax(nullable)
    assert list(made.index) == ["x", "y"]
    assert [[None if v is pd.NA else v for v in made[c]] for c in made] == list(got.to_pydict().values())
    with pytest.raises(TypeError, match="scores in column 'b' of type string"):
        sigmax.softmax(pa.table({"a": [1.0], "b": ["x"]}))


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 3)])
def test_lists_are_rows(kind):
    rows = [[1.0, 2.0, None], None, [3.0, 3.0, 3.0]]
    rows += [] if pa.types.is_fixed_size_list(kind) else [[5.0], []]
    array = pa.array(rows, kind)
    for part in (array, array.slice(1), array.slice(0, 1), pa.chunked_array([array, array])):
        got = sigmax.softmax(part)
        assert got.type == kind
        for x, p in zip(part.to_pylist(), got.to_pylist(), strict=True):
            there = None if x is None else [v for v in x if v is not None]
            assert (p is None) == (x is None)
            if x is not None:
                np.testing.assert_array_equal([v for v in p if v is not None], sigmax.softmax(np.array(there)))
                assert [v is None for v in p] == [v is None for v in x]
    assert sigmax.logsumexp(array).to_pylist()[:3] == [sigmax.logsumexp([1.0, 2.0]), None, sigmax.logsumexp([3.0] * 3)]
    assert sigmax.sigmoid(array).to_pylist()[0][:2] == sigmax.sigmoid([1.0, 2.0]).tolist()


FRAME = pd.DataFrame(RNG.normal(size=(3, 3)) * 3, index=list("xyz"), columns=list("abc"))
OTHER = (list("zxy"), list("cab"))  # the same rows and columns in another order
MASK = pd.DataFrame(RNG.random((3, 3)) < 0.7, index=FRAME.index, columns=FRAME.columns) | np.eye(3, dtype=bool)
WEIGHTS = pd.DataFrame(RNG.random((3, 3)), index=FRAME.index, columns=FRAME.columns)
SOFT = sigmax.softmax(FRAME * 0.3)


def test_what_goes_with_a_pandas_frame_goes_by_name():
    rows, columns = OTHER
    x = FRAME.to_numpy()
    y, t, w = (pd.Series(v, index=list("xyz")) for v in ([0, 1, 2], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]))
    w.index = list("abc")
    for got, wanted in [
        (sigmax.softmax(FRAME, where=MASK.loc[rows, columns]), sigmax.softmax(x, where=MASK.to_numpy())),
        (sigmax.softmax(FRAME, where=MASK.loc["x", columns]), sigmax.softmax(x, where=MASK.to_numpy()[0])),
        (sigmax.softmax(FRAME, temperature=t[rows]), sigmax.softmax(x, temperature=[1.0, 2.0, 3.0])),
        (sigmax.logsumexp(FRAME, weights=WEIGHTS.loc[rows, columns]), sigmax.logsumexp(x, weights=WEIGHTS.to_numpy())),
        (sigmax.logsumexp(FRAME, weights=w[columns]), sigmax.logsumexp(x, weights=[1.0, 2.0, 3.0])),
        (sigmax.cross_entropy(FRAME, y[rows]), sigmax.cross_entropy(x, [0, 1, 2])),
        (sigmax.cross_entropy(FRAME, SOFT.loc[rows, columns]), sigmax.cross_entropy(x, SOFT.to_numpy())),
        (sigmax.binary_cross_entropy(FRAME, SOFT.loc[rows, columns]), sigmax.binary_cross_entropy(x, SOFT.to_numpy())),
        (sigmax.softmax(FRAME, axis=0, temperature=w[columns]), sigmax.softmax(x, axis=0, temperature=[1.0, 2.0, 3.0])),
        (sigmax.softmax(FRAME["a"], where=MASK["a"][rows]), sigmax.softmax(x[:, 0], where=MASK["a"].to_numpy())),
        (sigmax.softmax(FRAME, where=pl.from_pandas(MASK[columns])), sigmax.softmax(x, where=MASK.to_numpy())),
    ]:
        np.testing.assert_array_equal(got, wanted)
        assert list(got.index) == list("xyz")
    for call, said in [
        (lambda: sigmax.softmax(FRAME, where=MASK.rename(columns={"a": "q"})), "where has the columns 'q', 'b', 'c'"),
        (lambda: sigmax.softmax(FRAME, where=MASK[["a", "b"]]), "where has the columns 'a', 'b' and"),
        (
            lambda: sigmax.cross_entropy(FRAME, pd.Series([0, 1, 2])),
            "labels has the index 0, 1, 2 and the scores have 'x'",
        ),
        (lambda: sigmax.logsumexp(FRAME, weights=t), "weights has the index 'x'"),
        (lambda: sigmax.softmax(FRAME["a"], where=MASK["a"][:2]), "where has the index 'x', 'y' and"),
        (lambda: groups.softmax(FRAME["a"], pd.Series(["u", "u", "v"])), "by has the index 0"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()
    twice = FRAME.set_axis(["x", "x", "y"])
    np.testing.assert_array_equal(sigmax.softmax(twice, where=MASK.set_axis(["x", "x", "y"])), sigmax.softmax(x, where=MASK.to_numpy()))  # fmt: skip
    with pytest.raises(ValueError, match="where has the index"):
        sigmax.softmax(twice, where=MASK.set_axis(["x", "y", "x"]))


@pytest.mark.parametrize("make", [pl.from_pandas, lambda f: pa.Table.from_pandas(f, preserve_index=False)])
def test_what_goes_with_a_table_goes_by_name(make):
    x, columns = FRAME.to_numpy(), OTHER[1]
    for got, wanted in [
        (sigmax.softmax(make(FRAME), where=make(MASK[columns])), sigmax.softmax(x, where=MASK.to_numpy())),
        (
            sigmax.logsumexp(make(FRAME), weights=make(WEIGHTS[columns])),
            sigmax.logsumexp(x, weights=WEIGHTS.to_numpy()),
        ),
        (sigmax.cross_entropy(make(FRAME), make(SOFT[columns])), sigmax.cross_entropy(x, SOFT.to_numpy())),
        (
            sigmax.binary_cross_entropy(make(FRAME), make(SOFT[columns])),
            sigmax.binary_cross_entropy(x, SOFT.to_numpy()),
        ),
        (
            sigmax.softmax(make(FRAME), where=MASK[columns].reset_index(drop=True)),
            sigmax.softmax(x, where=MASK.to_numpy()),
        ),
    ]:
        np.testing.assert_array_equal(np.asarray(got.to_pandas() if hasattr(got, "to_pandas") else got), wanted)
    with pytest.raises(ValueError, match="where has the columns 'a', 'b' and the scores have 'a', 'b', 'c'"):
        sigmax.softmax(make(FRAME), where=make(MASK[["a", "b"]]))
    with pytest.raises(ValueError, match="labels has the columns 'q', 'b', 'c'"):
        sigmax.cross_entropy(make(FRAME), make(SOFT.rename(columns={"a": "q"})))


def test_a_missing_label_is_missing_on_plain_scores_too():
    y = pd.Series([0, None, 2], dtype="Int64", index=FRAME.index)
    loss, gradient = sigmax.cross_entropy_and_grad(FRAME, y)
    assert loss.isna().tolist() == [False, True, False]
    assert loss["z"] == sigmax.cross_entropy(FRAME.to_numpy()[2], 2)
    binary = sigmax.binary_cross_entropy(FRAME["a"], pd.Series([0, 1, None], dtype="Int64", index=FRAME.index))
    assert binary.isna().tolist() == [False, False, True]
    assert gradient.loc["x"].tolist() == sigmax.cross_entropy_and_grad(FRAME.to_numpy()[0], 0)[1].tolist()


def test_frames_say_what_they_cannot_take():
    for column, kind in (
        (pd.date_range("2020", periods=3), "datetime64"),
        (list("abc"), "str"),
        ([1j, 2j, 3j], "complex128"),
    ):
        frame = FRAME.reset_index(drop=True).assign(t=column)
        for scores in (frame, frame["t"]):
            with pytest.raises(TypeError, match=f"{kind}.* not supported"):
                sigmax.softmax(scores)


def test_a_dask_series_has_its_losses_of_two_classes():
    x, y = pd.Series([0.5, -1.0, 2.0]), pd.Series([0.0, 1.0, 1.0])
    lazy = sigmax.binary_cross_entropy(dd.from_pandas(x, npartitions=2), dd.from_pandas(y, npartitions=2))
    pd.testing.assert_series_equal(lazy.compute(), sigmax.binary_cross_entropy(x, y), check_exact=True)


def test_dask_frames_refuse_what_would_be_per_partition():
    frame = dd.from_pandas(FRAME, npartitions=2)
    np.testing.assert_array_equal(sigmax.logsumexp(frame).compute(), sigmax.logsumexp(FRAME))
    for axis in (0, (0, 1)):
        with pytest.raises(TypeError, match=r"works row by row; for axis=.* pass frame.to_dask_array"):
            sigmax.logsumexp(frame, axis=axis)
    with pytest.raises(TypeError, match="returns a pair, which no Dask frame holds"):
        sigmax.logsumexp(frame, return_sign=True)


def test_the_result_of_a_square_frame_is_named_by_its_axis():
    across, down = sigmax.logsumexp(FRAME), sigmax.logsumexp(FRAME, axis=0)
    assert (list(across.index), list(down.index)) == (list("xyz"), list("abc"))
    np.testing.assert_array_equal(down, sigmax.logsumexp(FRAME.to_numpy(), axis=0))


@pytest.mark.parametrize("axis", [1, np.int64(1), "class", ("class",), [np.int8(-1)]])
def test_a_dimension_by_its_name_or_by_any_integer(axis):
    x = xr.DataArray([[1.0, 2.0, 4.0], [3.0, 3.0, 1.0]], dims=("row", "class"))
    np.testing.assert_array_equal(sigmax.softmax(x, axis=axis), sigmax.softmax(x.data))


@pytest.mark.parametrize(
    ("axis", "error", "said"),
    [
        (1.0, TypeError, "axis is 1.0; pass the number"),
        (np.array(1.5), TypeError, r"axis is array\(1.5\); pass the number"),
        (2, np.exceptions.AxisError, "axis 2 is out of bounds"),
        ("klass", ValueError, "there is no dimension 'klass'; the scores have row, class"),
    ],
)
def test_a_dimension_that_is_none_is_named(axis, error, said):
    x = xr.DataArray([[1.0, 2.0, 4.0], [3.0, 3.0, 1.0]], dims=("row", "class"))
    with pytest.raises(error, match=said):
        sigmax.softmax(x, axis=axis)


def test_a_pair_of_datasets():
    data = xr.Dataset({"p": ("row", [1.0, 2.0]), "q": ("row", [3.0, 1.0])}, attrs={"unit": "logit"})
    value, sign = sigmax.logsumexp(data, axis="row", return_sign=True)
    assert (float(value["p"]), float(sign["q"])) == (sigmax.logsumexp([1.0, 2.0]), 1.0)
    assert value.attrs == {"unit": "logit"}
    assert sigmax.softmax(data, axis="row")["q"].to_numpy().tolist() == sigmax.softmax([3.0, 1.0]).tolist()


def test_attributes_stay_whatever_is_kept_of_the_axis():
    x = xr.DataArray(np.ones((4, 3)), dims=("r", "c"), attrs={"unit": "logit"})
    for options in ({}, {"keepdims": True}, {"return_sign": True}, {"keepdims": True, "return_sign": True}):
        found = sigmax.logsumexp(x, **options)
        for one in found if isinstance(found, tuple) else (found,):
            assert one.attrs == {"unit": "logit"}, options
            assert one.dims == (("r", "c") if "keepdims" in options else ("r",))


def test_labels_in_a_dataset_go_variable_by_variable():
    x = xr.Dataset({"p": ("row", [1.0, 2.0]), "q": ("row", [3.0, 1.0])})
    y = xr.Dataset({"q": ("row", [0.0, 1.0]), "p": ("row", [1.0, 1.0])})
    found = sigmax.binary_cross_entropy(x, y)
    for name in ("p", "q"):
        want = sigmax.binary_cross_entropy(x[name].to_numpy(), y[name].to_numpy())
        assert found[name].to_numpy().tolist() == want.tolist()
    with pytest.raises(ValueError, match="the labels have no variable 'q', which the scores have"):
        sigmax.binary_cross_entropy(x, y[["p"]])
    for scores in (x["p"], x["p"].to_numpy()):
        with pytest.raises(TypeError, match="labels in a Dataset go with scores in one; pass a DataArray"):
            sigmax.binary_cross_entropy(scores, y)


@pytest.mark.parametrize("kind", [np.asarray, pl.Series, pd.Series, xr.DataArray, pa.array, list])
def test_an_option_that_there_is_not_is_told_by_the_function(kind):
    with pytest.raises(TypeError, match=r"^logsumexp\(\) got an unexpected keyword argument 'b'"):
        sigmax.logsumexp(kind([1.0, 2.0]), b=1)


def test_none_is_a_group_and_functions_may_be_made_twice():
    assert groups.softmax([1.0, 2.0, 5.0, 9.0], [None, None, "a", 1]).tolist() == [*P, 1.0, 1.0]
    assert groups.softmax([1.0, 2.0, 5.0], [np.nan, None, 7.0]).tolist() == [*P, 1.0]
    from sigmax.sql import create_functions

    connection = duckdb.connect()
    create_functions(connection)
    create_functions(connection)
    assert connection.sql("SELECT softmax([1, 2])").fetchall()[0][0] == P.tolist()


ROWS_OF_LISTS = [
    ("softmax", {}),
    ("softmax", dict(complement=True)),
    ("softmax", dict(temperature=0.7)),
    ("log_softmax", {}),
    ("logit_softmax", {}),
    ("logsumexp", {}),
    ("sigmoid", {}),
]


@pytest.mark.parametrize(("name", "options"), ROWS_OF_LISTS)
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16(), pa.int32()])
def test_a_list_is_as_if_it_were_alone(name, options, kind):
    function = getattr(sigmax, name)
    lists = [(RNG.normal(size=n) * 4).astype(kind.to_pandas_dtype()).tolist() for n in (3, 2, 2, 17, 100, 3, 1000)]
    lists += [[], [1.0, None, 3.0], [None, None], None, []]
    column = pa.array(lists, pa.list_(kind))
    got = function(column, **options).to_pylist()
    for x, y in zip(lists, got, strict=True):
        alone = function(pa.array([x], pa.list_(kind)), **options)
        assert repr(alone.to_pylist()) == repr([y]), x
    # whatever stands before and after, in whatever pieces
    assert repr(function(column.slice(3, 5), **options).to_pylist()) == repr(got[3:8])
    pieces = pa.chunked_array([column.slice(0, 0), column.slice(0, 7), column.slice(7, 0), column.slice(7)])
    chunked = function(pieces, **options)
    assert repr(chunked.to_pylist()) == repr(got)
    assert chunked.type == function(column, **options).type
    assert repr(function(pl.Series(column), **options).to_list()) == repr(got)


def test_the_sum_of_an_empty_list_is_that_of_an_empty_row():
    lists = pa.array([[], [None], [1.0, None], None, [2.0]], pa.list_(pa.float64()))
    assert sigmax.logsumexp(lists).to_pylist() == [-np.inf, None, 1.0, None, 2.0]
    assert sigmax.logsumexp(lists, keepdims=True).to_pylist() == [[-np.inf], [None], [1.0], [None], [2.0]]
    with pytest.raises(TypeError, match="axis=0: the scores of a list have one axis"):
        sigmax.softmax(lists, axis=0)


def test_masked_arrays():
    x = np.ma.masked_invalid([[1.0, np.nan, 2.0], [3.0, 1.0, 0.0]])
    possible = ~np.ma.getmaskarray(x)
    for name in ("softmax", "log_softmax", "logit_softmax"):
        got = getattr(sigmax, name)(x, temperature=2.0)
        assert isinstance(got, np.ma.MaskedArray)
        np.testing.assert_array_equal(got.mask, ~possible)
        np.testing.assert_array_equal(
            got.compressed(), getattr(sigmax, name)(x.data, where=possible, temperature=2.0)[possible]
        )
    np.testing.assert_array_equal(sigmax.logsumexp(x), sigmax.logsumexp(x.data, where=possible))
    np.testing.assert_array_equal(sigmax.logsumexp(x, axis=0), sigmax.logsumexp(x.data, where=possible, axis=0))
    nothing = np.ma.array([1.0, 2.0], mask=True)
    assert sigmax.softmax(nothing).mask.all()
    assert sigmax.logsumexp(nothing) is np.ma.masked
    loss = sigmax.cross_entropy(x, np.ma.array([2, 0], mask=[0, 1]))
    assert loss.mask.tolist() == [False, True]
    assert loss[0] == -P_LOG[1]
    assert sigmax.cross_entropy(x, [1, 1]).mask.tolist() == [True, False]  # the label's score is not known
    gradient = sigmax.cross_entropy_and_grad(x, [0, 1])[1]
    np.testing.assert_array_equal(gradient.mask, ~possible)
    assert sigmax.binary_cross_entropy(x, 1.0).mask.tolist() == x.mask.tolist()
    assert sigmax.sigmoid(x).mask.tolist() == x.mask.tolist()
    # masks and weights may be masked themselves: then the class is not possible, and the element is left out
    where = np.ma.array([True, True, True], mask=[0, 0, 1])
    assert sigmax.softmax(x, where=where)[0, 0] == 1.0
    np.testing.assert_array_equal(
        sigmax.softmax(x.data[1:], where=where), sigmax.softmax(x.data[1:], where=[True, True, False])
    )
    weights = np.ma.array([1.0, 2.0, 9.0], mask=[0, 0, 1])
    np.testing.assert_array_equal(
        sigmax.logsumexp(x[1:], weights=weights), sigmax.logsumexp(x.data[1:], weights=[1.0, 2.0, 0.0])
    )
    with pytest.raises(ValueError, match="a temperature is masked"):
        sigmax.softmax(x, temperature=np.ma.array([1.0, 2.0], mask=[1, 0]))
    assert sigmax.special.logsumexp(x, axis=1).tolist() == sigmax.logsumexp(x).tolist()


def test_masks_are_not_dropped_anywhere():
    x, m = np.array([1.0, 9.0, 1.0, 1.0]), [0, 1, 0, 0]
    weights = np.ma.array(np.ones(4), mask=m)
    assert sigmax.logsumexp(x, weights=weights) == sigmax.logsumexp(x[[0, 2, 3]])
    with pytest.raises(ValueError, match="a temperature is masked"):
        sigmax.softmax(x, temperature=np.ma.masked)
    got = groups.softmax(np.ma.array(x, mask=m), [0, 0, 1, 1])
    assert got.tolist() == [1.0, None, 0.5, 0.5]
    assert groups.softmax(x[:3], np.ma.array([1, 1, 1], mask=[0, 1, 1])).tolist() == [
        1.0,
        *sigmax.softmax(x[1:3]).tolist(),
    ]
    assert sigmax.softmax(np.ma.array(3.0)) == 1.0
    assert sigmax.softmax(np.ma.masked) is np.ma.masked
    assert sigmax.logsumexp(np.ma.masked) is np.ma.masked


def test_what_has_names_of_another_kind_is_refused():
    x = xr.DataArray(FRAME.to_numpy(), dims=("row", "class"))
    where = xr.Variable(("class", "row"), MASK.to_numpy().T)
    np.testing.assert_array_equal(
        sigmax.softmax(x, where=where), sigmax.softmax(FRAME.to_numpy(), where=MASK.to_numpy())
    )
    for call, said in [
        (lambda: sigmax.cross_entropy(x, xr.DataArray([0, 1, 2], dims="other")), "labels have the dimensions 'other'"),
        (lambda: sigmax.cross_entropy(x, xr.DataArray([0, 1, 2], dims="class")), "labels have the dimensions 'class'"),
        (
            lambda: sigmax.softmax(x, where=xr.DataArray(MASK.to_numpy(), dims=("row", "klass"))),
            "where has the dimension 'klass'",
        ),
        (lambda: sigmax.softmax(x, where=MASK), "where is a DataFrame beside an xarray object"),
        (lambda: sigmax.cross_entropy(x, pd.Series([0, 1, 2])), "labels is a Series beside an xarray object"),
        (
            lambda: sigmax.softmax(FRAME, where=xr.DataArray(MASK.to_numpy())),
            "where is a DataArray beside a pandas object",
        ),
        (lambda: sigmax.binary_cross_entropy(FRAME, FRAME["a"] * 0), "a frame and a Series"),
        (lambda: sigmax.binary_cross_entropy(FRAME["a"], FRAME * 0), "a frame and a Series"),
        (lambda: sigmax.special.softmax(pl.LazyFrame({"a": [1.0]})), "does not tell its axes; name one"),
    ]:
        with pytest.raises((TypeError, ValueError), match=said):
            call()
    value, sign = sigmax.logsumexp(xr.Variable(("row",), [1.0, 2.0]), return_sign=True)
    assert isinstance(value, xr.Variable)
    assert float(sign) == 1.0


def test_nullable_frames_beside_scores():
    nullable, arrow = MASK.astype("boolean"), MASK.astype("bool[pyarrow]")
    wanted = sigmax.softmax(FRAME.to_numpy(), where=MASK.to_numpy())
    for where in (nullable, arrow):
        np.testing.assert_array_equal(sigmax.softmax(FRAME, where=where), wanted)
    nullable.iloc[0, 0] = pd.NA  # it is not known whether it is possible
    np.testing.assert_array_equal(sigmax.softmax(FRAME, where=nullable)["a"].iloc[0], 0.0)
    np.testing.assert_array_equal(
        sigmax.logsumexp(FRAME, weights=WEIGHTS.astype("Float64")),
        sigmax.logsumexp(FRAME.to_numpy(), weights=WEIGHTS.to_numpy()),
    )


def test_the_larger_of_two_xarrays_names_the_axes():
    import scipy.special

    a, b = np.arange(3.0), np.array([[1.0, 1, 1], [0, 1, 0], [0, 0, 1]])
    got = sigmax.special.logsumexp(xr.DataArray(a, dims="c"), axis=1, b=xr.DataArray(b, dims=("r", "c")))
    np.testing.assert_allclose(got, scipy.special.logsumexp(a, axis=1, b=b), rtol=1e-15)


P_LOG = sigmax.log_softmax([1.0, 2.0])


def test_polars_expressions():
    frame = pl.DataFrame({"q": [1, 1, 2, 2], "s": [1.0, 2.0, 7.0, None], "a": [1.0, 2, 1, 0], "b": [2.0, 1, 2, None]})
    got = frame.lazy().select(
        sigmax.sigmoid(pl.col("s")).alias("each"),
        sigmax.softmax(pl.col("s")).over("q").alias("in group"),
        sigmax.softmax(pl.struct("a", "b")).struct.field("b").alias("in row"),
        sigmax.cross_entropy(pl.struct("a", "b"), pl.col("q") - 1).alias("loss"),
    )
    assert isinstance(got, pl.LazyFrame)
    got = got.collect()
    assert got["each"].to_list() == [*sigmax.sigmoid([1.0, 2.0, 7.0]).tolist(), None]
    assert got["in group"].to_list() == [P[0], P[1], 1.0, None]
    assert got["in row"].to_list() == [P[1], P[0], P[1], None]
    log_p = sigmax.log_softmax([1.0, 2.0])
    assert got["loss"].to_list() == [-log_p[0], -log_p[1], -log_p[1], None]
    by = frame.group_by("q", maintain_order=True).agg(
        sigmax.logsumexp(pl.col("s")), sigmax.softmax(pl.col("s")).alias("p")
    )
    assert by["s"].to_list() == [sigmax.logsumexp([1.0, 2.0]), 7.0]
    assert by["p"].to_list() == [P.tolist(), [1.0, None]]
    assert frame.select(sigmax.log_sigmoid(pl.col("a").cast(pl.Float32))).schema["a"] == pl.Float32
    columns = frame.lazy().select("a", "b")
    assert sigmax.softmax(columns).collect().equals(sigmax.softmax(frame.select("a", "b")))


def test_pandas_keeps_index_and_names():
    frame = pd.DataFrame(RNG.normal(size=(3, 2)), index=["x", "y", "z"], columns=["cat", "dog"])
    for got in (sigmax.softmax(frame), sigmax.sigmoid(frame), sigmax.cross_entropy_and_grad(frame, [0, 1, 0])[1]):
        assert got.index.equals(frame.index)
        assert got.columns.equals(frame.columns)
    loss = sigmax.cross_entropy(frame, pd.Series([0, 1, 0], index=frame.index))
    assert loss.index.equals(frame.index)
    np.testing.assert_array_equal(loss, sigmax.cross_entropy(frame.to_numpy(), [0, 1, 0]))
    down = sigmax.softmax(frame, axis=0)
    np.testing.assert_array_equal(down, sigmax.softmax(frame.to_numpy(), axis=0))
    arrow = pd.Series([1.0, None, 2.0], dtype="double[pyarrow]", name="s", index=[5, 6, 7])
    got = sigmax.softmax(arrow)
    assert (got.dtype, got.name, got.index.tolist()) == (arrow.dtype, "s", [5, 6, 7])
    assert got.isna().tolist() == [False, True, False]
    grouped = pd.DataFrame({"q": [1, 2, 1], "s": [1.0, 5.0, 2.0]}).groupby("q")["s"]
    assert grouped.transform(sigmax.softmax).tolist() == [P[0], 1.0, P[1]]
    assert grouped.agg(sigmax.logsumexp).tolist() == [sigmax.logsumexp([1.0, 2.0]), 5.0]


def test_groups_of_rows():
    scores, by = RNG.normal(size=5000) * 4, RNG.integers(0, 700, 5000)
    got = groups.softmax(scores, by, temperature=2.0)
    for g in np.unique(by):
        np.testing.assert_array_equal(got[by == g], sigmax.softmax(scores[by == g], temperature=2.0))
    assert groups.softmax(pa.array([1.0, None, 2.0, 9.0]), pa.array(["a", "a", "a", None])).to_pylist() == [
        P[0],
        None,
        P[1],
        1.0,
    ]
    series = groups.log_softmax(
        pd.Series([1.0, 2.0, 5.0], index=[7, 8, 9], name="s"), pd.Series(["v", "u", "u"], index=[9, 8, 7])
    )
    assert series.tolist() == [*sigmax.log_softmax([1.0, 2.0]).tolist(), 0.0]
    assert (series.index.tolist(), series.name) == ([7, 8, 9], "s")
    assert groups.softmax(
        pl.Series("s", [1.0, 2.0, 5.0]), [pl.Series(["u", "u", "u"]), pl.Series([1, 1, None])]
    ).to_list() == [*P, 1]
    assert groups.softmax(np.empty(0), np.empty(0)).shape == (0,)
    with pytest.raises(ValueError, match="3 scores and 2 rows of groups"):
        groups.softmax([1.0, 2, 3], [1, 2])
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        groups.softmax(np.zeros((2, 2)), [1, 2])


def test_what_goes_with_an_xarray_goes_by_coordinate():
    x = xr.DataArray(FRAME.to_numpy(), dims=("row", "class"), coords={"row": list("xyz"), "class": list("abc")})
    rows, columns = OTHER

    def labelled(values, *dims):
        return xr.DataArray(values, dims=dims, coords={d: x[d].to_numpy() for d in dims})

    mask, weights, soft = (labelled(f.to_numpy(), "row", "class") for f in (MASK, WEIGHTS, SOFT))
    other = {"row": rows, "class": columns}
    y, t = labelled([0, 1, 2], "row"), labelled([1.0, 2.0, 3.0], "row")
    a = x.to_numpy()
    for got, wanted in [
        (sigmax.softmax(x, where=mask.sel(other)), sigmax.softmax(a, where=MASK.to_numpy())),
        (sigmax.softmax(x, where=mask.sel(other).T), sigmax.softmax(a, where=MASK.to_numpy())),
        (sigmax.softmax(x, where=mask.sel(row="x")[::-1]), sigmax.softmax(a, where=MASK.to_numpy()[0])),
        (sigmax.logsumexp(x, weights=weights.sel(other)), sigmax.logsumexp(a, weights=WEIGHTS.to_numpy())),
        (sigmax.softmax(x, temperature=t[::-1]), sigmax.softmax(a, temperature=[1.0, 2.0, 3.0])),
        (sigmax.cross_entropy(x, y.sel(row=rows)), sigmax.cross_entropy(a, [0, 1, 2])),
        (sigmax.cross_entropy(x, soft.sel(other)), sigmax.cross_entropy(a, SOFT.to_numpy())),
        (sigmax.binary_cross_entropy(x, soft.sel(other)), sigmax.binary_cross_entropy(a, SOFT.to_numpy())),
    ]:
        np.testing.assert_array_equal(got, wanted)
        assert list(got["row"].to_numpy()) == list("xyz")
    for call in (
        lambda: sigmax.cross_entropy(x, y.assign_coords(row=[7, 8, 9])),
        lambda: sigmax.softmax(x, where=mask.assign_coords({"class": list("abq")})),
        lambda: sigmax.softmax(x, temperature=t.assign_coords(row=list("xyq"))),
    ):
        with pytest.raises(ValueError, match="has the coordinate '(row|class)' .* and the scores have"):
            call()
    # without coordinates there is nothing to go by but the place
    np.testing.assert_array_equal(sigmax.cross_entropy(x, y[::-1].drop_vars("row")), sigmax.cross_entropy(a, [2, 1, 0]))


def test_xarray_dimensions_by_name():
    x = xr.DataArray(
        RNG.normal(size=(2, 3, 4)),
        dims=("site", "class", "day"),
        coords={"class": list("abc"), "site": [5, 6]},
        attrs={"units": "1"},
        name="score",
    )
    p = sigmax.softmax(x, axis="class", where=xr.DataArray([True, False, True], dims="class"))
    assert (p.dims, p.attrs, p.name) == (x.dims, x.attrs, "score")
    np.testing.assert_array_equal(p, sigmax.softmax(x.data, axis=1, where=np.array([True, False, True])[:, None]))
    total = sigmax.logsumexp(x, axis=("class", "day"))
    assert total.dims == ("site",)
    assert total.coords["site"].values.tolist() == [5, 6]
    loss = sigmax.cross_entropy(x, xr.DataArray(np.ones((4, 2), int), dims=("day", "site")), axis="class")
    np.testing.assert_array_equal(loss, sigmax.cross_entropy(x.data, np.ones((2, 4), int), axis=1))
    chunked = sigmax.softmax(x.chunk({"class": 1}), axis="class")
    assert isinstance(chunked.data, da.Array)
    np.testing.assert_array_equal(chunked, sigmax.softmax(x.data, axis=1))
    assert list(sigmax.sigmoid(x.to_dataset())) == ["score"]
    with pytest.raises(ValueError, match="no dimension 'klass'; the scores have site, class, day"):
        sigmax.softmax(x, axis="klass")


@pytest.mark.parametrize("chunks", [(2, 4), (6, 2), (3, 1), (1, 3)])
def test_dask_gives_the_bits_of_one_array_however_it_is_cut(chunks):
    x = RNG.normal(size=(6, 4)) * 5
    cut = da.from_array(x, chunks=chunks)
    for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logit_softmax, sigmax.logsumexp):
        for axis in (0, 1, (0, 1)):
            got = function(cut, axis=axis)
            assert isinstance(got, da.Array)
            np.testing.assert_array_equal(got.compute(), function(x, axis=axis))
    got = sigmax.softmax(cut)
    largest = max(a * b for a in got.chunks[0] for b in got.chunks[1])
    assert largest <= max(chunks[0] * chunks[1], 4)  # one row is the least
    labels, temperature = np.array([0, 1, 2, 3, 0, 1]), np.arange(1, 7.0)
    pair = sigmax.cross_entropy_and_grad(cut, da.from_array(labels, chunks=4), temperature=temperature)
    for a, b in zip(pair, sigmax.cross_entropy_and_grad(x, labels, temperature=temperature), strict=True):
        np.testing.assert_array_equal(a.compute(), b)
    value, sign = sigmax.logsumexp(cut, weights=x, return_sign=True, keepdims=True)
    for a, b in zip((value, sign), sigmax.logsumexp(x, weights=x, return_sign=True, keepdims=True), strict=True):
        np.testing.assert_array_equal(a.compute(), b)


def test_duckdb_macros_on_columns_lists_and_groups():
    connection = duckdb.connect()
    create_macros(connection)
    connection.execute(
        "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1.0, 2.0), (1, 2.0, 1.0), (2, 7.0, NULL)) AS v(q, a, b)"
    )
    rows = connection.execute("SELECT softmax([a, b]) FROM t").fetchall()
    assert rows[2][0] == [1.0, None]
    np.testing.assert_allclose(rows[0][0], P, rtol=1e-15)
    grouped = connection.execute(
        "SELECT q, softmax(list(a ORDER BY a)), logsumexp(list(a)) FROM t GROUP BY q ORDER BY q"
    ).fetchall()
    np.testing.assert_allclose(grouped[0][1], P, rtol=1e-15)
    assert grouped[1] == (2, [1.0], 7.0)
    special = connection.execute(
        "SELECT log_softmax([50, 0]), softmax(['-inf'::DOUBLE]), softmax(['inf'::DOUBLE, 1]), sigmoid(NULL), logit(2), softmax([]::DOUBLE[])"
    ).fetchone()
    assert special[0] == [-1.9287498479639178e-22, -50.0]
    assert special[1:4] == ([0.0], [1.0, 0.0], None)
    assert np.isnan(special[4])
    assert special[5] == []


def test_a_type_that_nobody_serves_goes_to_numpy():
    class Own:
        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0])

    np.testing.assert_array_equal(sigmax.softmax(Own()), P)
    np.testing.assert_array_equal(sigmax.sigmoid(Own()), sigmax.sigmoid([1.0, 2.0]))
    masked = np.ma.masked_array([1.0, 2.0], mask=[True, False])
    assert isinstance(sigmax.sigmoid(masked), np.ma.MaskedArray)
    index = pd.Index([1.0, 2.0])
    np.testing.assert_array_equal(sigmax.sigmoid(index), sigmax.sigmoid([1.0, 2.0]))


def test_an_array_that_overrides_ufuncs_is_still_asked():
    class Overriding:
        def __array_ufunc__(self, ufunc, method, *inputs, **options):
            return ufunc.__name__, method

    assert sigmax.sigmoid(Overriding()) == ("sigmoid", "__call__")
    assert sigmax.sigmoid(np.zeros(2), out=Overriding()) == ("sigmoid", "__call__")


@pytest.mark.parametrize(
    ("module", "program", "remedy"),
    [
        (
            "array_api_compat",
            "import array_api_strict as xp; sigmax.softmax(xp.asarray([1.0]))",
            "pip install 'sigmax[arrays]'",
        ),
        ("torch", "import sigmax.torch", "pip install torch"),
    ],
)
def test_a_missing_library_is_named_with_its_remedy(module, program, remedy):
    code = f"import sys; sys.modules[{module!r}] = None\nimport sigmax\ntry:\n    {program}\nexcept ModuleNotFoundError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1, done.stderr
    assert done.stdout.rstrip().endswith(remedy)


# ---- what results keep of what they were made of ----


class OwnFrame(pd.DataFrame):
    @property
    def _constructor(self):
        return OwnFrame

    @property
    def _constructor_sliced(self):
        return OwnSeries


class OwnSeries(pd.Series):
    @property
    def _constructor(self):
        return OwnSeries


def test_pandas_keeps_attrs_subclasses_and_the_kinds_of_columns():
    frame = OwnFrame({"a": pd.array([1, None], "Int64"), "b": [1.0, 2.0], "c": pd.array([0.5, 2], "float[pyarrow]")})
    frame.attrs["unit"] = "logit"
    result = sigmax.softmax(frame)
    assert type(result) is OwnFrame
    assert [str(d) for d in result.dtypes] == ["Float64", "float64", "double[pyarrow]"]
    assert result.isna().to_numpy().tolist() == [[False] * 3, [True, False, False]]
    np.testing.assert_array_equal(result.iloc[1, 1:].to_numpy(float), sigmax.softmax([2.0, 2.0]))
    sums = sigmax.logsumexp(frame)
    assert type(sums) is OwnSeries
    assert result.attrs == sums.attrs == {"unit": "logit"}
    series = OwnSeries([1.0, 2.0], index=["x", "y"], name="s")
    series.attrs["unit"] = "logit"
    result = sigmax.softmax(series)
    assert (type(result), result.attrs, result.name, list(result.index)) == (
        OwnSeries,
        {"unit": "logit"},
        "s",
        ["x", "y"],
    )


def test_arrow_tables_keep_their_metadata():
    fields = [pa.field("a", pa.float64(), metadata={"unit": "logit"}), pa.field("b", pa.float32(), nullable=False)]
    schema = pa.schema(fields, metadata={"model": "7", "pandas": "{}"})
    for kind in (pa.Table, pa.RecordBatch):
        result = sigmax.softmax(
            kind.from_arrays([pa.array([1.0, 2.0]), pa.array([1.0, 2.0], pa.float32())], schema=schema)
        )
        assert result.schema.metadata == {b"model": b"7"}
        assert result.schema.field("a").metadata == {b"unit": b"logit"}
        assert result.schema.types == [pa.float64()] * 2


def test_lazy_polars_frames_and_options_that_are_expressions():
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [0.0, 3.0], "t": [1.0, 2.0], "y": [0, 1], "m": [True, False]})
    scores, x = frame.lazy().select("a", "b"), frame.select("a", "b").to_numpy()
    lazy = sigmax.logsumexp(scores)
    assert lazy.collect_schema() == {"logsumexp": pl.Float64}
    np.testing.assert_array_equal(lazy.collect()["logsumexp"], sigmax.logsumexp(x))
    assert sigmax.softmax(scores).collect().equals(sigmax.softmax(frame.select("a", "b")))
    loss = sigmax.cross_entropy(scores, frame["y"])
    np.testing.assert_array_equal(
        loss.filter(pl.col("cross_entropy") > 0).collect().to_series(), sigmax.cross_entropy(x, [0, 1])
    )
    with pytest.raises(TypeError, match="collect the lazy frame first"):
        sigmax.cross_entropy_and_grad(scores, frame["y"])
    pair, t, y = pl.struct("a", "b"), pl.col("t"), pl.col("y")
    got = (
        frame.lazy()
        .select(
            sigmax.softmax(pair, temperature=t).struct.field("b"),
            sigmax.cross_entropy(pair, y, temperature=t).alias("loss"),
            sigmax.softmax(pl.col("a"), where=pl.col("m")).alias("masked"),
        )
        .collect()
    )
    np.testing.assert_array_equal(got["b"], sigmax.softmax(x, temperature=[1.0, 2.0])[:, 1])
    np.testing.assert_array_equal(got["loss"], sigmax.cross_entropy(x, [0, 1], temperature=[1.0, 2.0]))
    assert got["masked"].to_list() == [1, 0]
    with pytest.raises(TypeError, match="is an expression and the scores are a DataFrame"):
        sigmax.softmax(frame.select("a", "b"), temperature=t)


def test_groups_of_categories():
    x = pl.Series([2.0, 7.0, 1.0, 0.0])
    wanted = groups.softmax([2.0, 7.0, 1.0, 0.0], ["a", "b", "a", None]).tolist()
    for kind in (pl.String, pl.Categorical, pl.Enum(["c", "b", "a"])):
        assert groups.softmax(x, pl.Series(["a", "b", "a", None], dtype=kind)).to_list() == wanted
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", "b", "a"]))
    assert groups.softmax(x.to_arrow(), twice).to_pylist() == wanted


@pytest.mark.parametrize(
    "x",
    [
        [1.0, 2.0, 3.0],
        [50.0, 0.0],
        [0.0, 0.0],
        [1.0, 1 - 1e-12],
        [np.inf, 1.0],
        [np.inf] * 3,
        [-np.inf, 1.0],
        [5.0],
        [1e3, -1e3, 999.0],
        [np.nan, 1.0],
    ],
)
def test_logit_softmax_in_plain_sql(x):
    connection = duckdb.connect()
    create_macros(connection)
    got = connection.execute("SELECT logit_softmax(?)", [x]).fetchone()[0]
    np.testing.assert_allclose(got, sigmax.logit_softmax(x), rtol=1e-15)
    assert connection.execute("SELECT logit_softmax([2.0, NULL, 2.0])").fetchone()[0] == [0.0, None, 0.0]


def test_dask_arrays_of_unknown_length_say_what_is_missing():
    frame = dd.from_pandas(pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [0.0, 1, 5, 2]}), npartitions=2)
    x, known = frame.to_dask_array(), frame.to_dask_array(lengths=True)
    np.testing.assert_array_equal(sigmax.softmax(x, temperature=2.0), sigmax.softmax(known.compute(), temperature=2.0))
    np.testing.assert_array_equal(sigmax.logsumexp(x), sigmax.logsumexp(known.compute()))
    labels = np.array([0, 1, 0, 1])
    for said, call in (
        ("labels need", lambda v: sigmax.cross_entropy(v, labels)),
        ("where need", lambda v: sigmax.softmax(v, where=np.ones((4, 2), bool))),
        ("weights need", lambda v: sigmax.logsumexp(v, weights=np.ones(2))),
        ("temperature need", lambda v: sigmax.softmax(v, temperature=np.ones(4))),
        ("keepdims need", lambda v: sigmax.logsumexp(v, keepdims=True)),
        ("the classes need", lambda v: sigmax.softmax(v, axis=0)),
    ):
        with pytest.raises(ValueError, match=rf"unknown length along axis 0, which {said}; call x.compute_chunk_sizes"):
            call(x)
        assert np.isfinite(np.asarray(call(known))).all()


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]"])
def test_missing_truth_values_of_pandas(dtype):
    x = pd.Series([True, None, False], dtype=dtype)
    got = sigmax.sigmoid(x)
    assert got.isna().tolist() == [False, True, False]
    assert got.dropna().tolist() == [sigmax.sigmoid(1.0), 0.5]
    assert sigmax.softmax(x).dropna().tolist() == sigmax.softmax([1.0, 0.0]).tolist()
    mask = pd.DataFrame({"a": x, "b": [True] * 3})
    assert sigmax.softmax(pd.DataFrame({"a": [0.0] * 3, "b": [0.0] * 3}), where=mask)["a"].tolist() == [0.5, 0, 0]


def test_masked_labels_are_missing_beside_tables():
    x, labels = np.array([[1.0, 0.0], [2.0, 1.0]]), np.ma.array([0, 1], mask=[0, 1])
    right = sigmax.cross_entropy(x, labels)[0]
    assert sigmax.cross_entropy(pd.DataFrame(x), labels).isna().tolist() == [False, True]
    got = sigmax.cross_entropy(pa.table({"a": x[:, 0], "b": x[:, 1]}), labels)
    assert got.to_pylist() == [right, None]
    assert sigmax.cross_entropy(pl.DataFrame({"a": x[:, 0], "b": x[:, 1]}), labels).to_list() == [right, None]
    assert sigmax.binary_cross_entropy(pd.Series([1.0, 2.0]), labels).isna().tolist() == [False, True]
