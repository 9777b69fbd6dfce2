"""Tables and columns: nulls, names, groups, laziness; SQL; which library is asked, and what is said where one is missing."""

import subprocess
import sys

import dask.array as da
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

import sigmax
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
    loss = sigmax.cross_entropy(frame, pd.Series([0, 1, 0]))
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
    series = groups.log_softmax(pd.Series([1.0, 2.0, 5.0], index=[7, 8, 9], name="s"), pd.Series(["u", "u", "v"]))
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
