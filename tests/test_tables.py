"""Score files: every format in and out, every kind of score, what goes wrong."""

import contextlib
import io
import json
import math

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import sigmax
from sigmax.tables import Dialect, TableError, score, score_file, score_files
from sigmax.tables import sources as table_sources
from sigmax.tables.dialect import WithoutRemarks
from sigmax.tables.files import format_of

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(300, 4)) * 3
LABELS = np.where(RNG.random(300) < 0.8, SCORES.argmax(1), RNG.integers(0, 4, 300))
NAMES = np.array(list("wxyz"))[LABELS].tolist()
TABLE = pa.table(
    {"id": [f"r{i}" for i in range(300)], **{f"s_{c}": SCORES[:, k] for k, c in enumerate("wxyz")}, "truth": NAMES}
)
FORMATS = ["csv", "parquet", "arrow", "feather"]


def write(table, path):
    kind = format_of(path)
    if kind == "csv":
        pa.csv.write_csv(table, path)
    elif kind == "parquet":
        pq.write_table(table, path, row_group_size=100)
    else:
        with pa.ipc.new_file(path, table.schema) as sink:
            for batch in table.to_batches(64):
                sink.write_batch(batch)
    return path


def read(path):
    kind = format_of(path)
    if kind == "csv":
        return pa.csv.read_csv(path)
    if kind == "parquet":
        return pq.read_table(path)
    return pa.ipc.open_file(path).read_all()


@pytest.mark.parametrize("into", FORMATS)
@pytest.mark.parametrize("out_of", FORMATS)
def test_every_format_in_and_out(tmp_path, out_of, into):
    source, target = write(TABLE, tmp_path / f"in.{out_of}"), tmp_path / f"out.{into}"
    summary = score_file(source, label="truth", output=target)
    got = read(target)
    assert got.column_names == ["id", "truth", "p_w", "p_x", "p_y", "p_z", "prediction", "confidence"]
    assert got["id"].to_pylist() == TABLE["id"].to_pylist()
    assert got["truth"].to_pylist() == NAMES
    p = np.column_stack([got[f"p_{c}"].to_numpy() for c in "wxyz"])
    np.testing.assert_array_equal(p, sigmax.softmax(SCORES))
    assert got["prediction"].to_pylist() == ["wxyz"[k] for k in SCORES.argmax(1)]
    np.testing.assert_array_equal(got["confidence"].to_numpy(), p.max(1))
    log_p = sigmax.log_softmax(SCORES)
    assert summary.rows == summary.scored == summary.labelled == 300
    assert summary.accuracy == (SCORES.argmax(1) == LABELS).mean()
    assert math.isclose(summary.log_loss, -log_p[np.arange(300), LABELS].mean(), rel_tol=1e-12)
    assert math.isclose(summary.mean_confidence, p.max(1).mean(), rel_tol=1e-12)
    assert math.isclose(summary.mean_entropy, -(p * log_p).sum(1).mean(), rel_tol=1e-12)
    assert list(tmp_path.glob(".*")) == []


def test_numpy_files(tmp_path):
    for order in "CF":
        np.save(tmp_path / "x.npy", np.asarray(SCORES, np.float32, order=order))
        score_file(tmp_path / "x.npy", output=tmp_path / "p.npy")
        got = np.load(tmp_path / "p.npy")
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, sigmax.softmax(SCORES.astype(np.float32)))
    np.save(tmp_path / "z.npy", SCORES[:, 0])
    score_file(tmp_path / "z.npy", output=tmp_path / "p.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "p.npy"), np.stack([sigmax.sigmoid(-SCORES[:, 0]), sigmax.sigmoid(SCORES[:, 0])], 1)
    )
    np.save(tmp_path / "bad.npy", np.zeros((2, 2, 2)))
    with pytest.raises(TableError, match=r"\(2, 2, 2\)"):
        score_file(tmp_path / "bad.npy")


def test_a_float32_file_gives_float32(tmp_path):
    narrow = pa.table({f"s_{k}": SCORES[:, k].astype(np.float32) for k in range(4)})
    score_file(write(narrow, tmp_path / "in.parquet"), output=tmp_path / "out.parquet")
    got = read(tmp_path / "out.parquet")
    assert got.schema.field("p_0").type == pa.float32()
    np.testing.assert_array_equal(got["p_2"].to_numpy(), sigmax.softmax(SCORES.astype(np.float32))[:, 2])


@pytest.mark.parametrize("fixed", [True, False])
def test_a_list_column(tmp_path, fixed):
    kind = pa.list_(pa.float64(), 4) if fixed else pa.list_(pa.float64())
    lists = [*SCORES[:5].tolist(), None]
    if not fixed:
        lists += [[1.0, 2.0], [1.0, None, 2.0, 3.0]]
    table = pa.table({"id": range(len(lists)), "scores": pa.array(lists, kind)})
    summary = score_file(write(table, tmp_path / "in.parquet"), columns=["scores"], output=tmp_path / "out.parquet")
    got = read(tmp_path / "out.parquet")
    p = np.column_stack([got[f"p_{k}"].to_numpy() for k in range(4)])
    np.testing.assert_array_equal(p[:5], sigmax.softmax(SCORES[:5]))
    assert got["prediction"].to_pylist()[5:] == [None] * (len(lists) - 5)
    assert dict(summary.unscored) == (
        {"a score is missing": 1} if fixed else {"a score is missing": 2, "not 4 scores": 1}
    )


def test_one_column_is_a_sigmoid(tmp_path):
    margin = SCORES[:, 0]
    table = pa.table({"margin": margin, "truth": np.where(margin + SCORES[:, 1] > 0, "yes", "no")})
    summary = score_file(
        write(table, tmp_path / "in.csv"),
        label="truth",
        classes=["no", "yes"],
        output=tmp_path / "out.parquet",
        temperature=2.0,
    )
    got = read(tmp_path / "out.parquet")
    p = sigmax.softmax(np.stack([np.zeros(300), margin], 1), temperature=2.0)
    np.testing.assert_array_equal(got["p_yes"].to_numpy(), p[:, 1])
    np.testing.assert_array_equal(got["p_no"].to_numpy(), p[:, 0])
    np.testing.assert_allclose(p[:, 1], sigmax.sigmoid(margin / 2), rtol=4e-16)
    assert got["prediction"].to_pylist() == ["yes" if m >= 0 else "no" for m in margin]
    y = np.asarray(table["truth"]) == "yes"
    assert math.isclose(summary.log_loss, sigmax.softplus(np.where(y, -margin / 2, margin / 2)).mean(), rel_tol=1e-12)
    assert summary.accuracy == (y == (margin >= 0)).mean()


def test_multilabel(tmp_path):
    truth = [";".join(c for c, yes in zip("wxyz", row > 0.5, strict=True) if yes) for row in SCORES]
    table = TABLE.drop_columns(["truth"]).append_column("truth", pa.array(truth))
    summary = score_file(
        write(table, tmp_path / "in.parquet"), kind="multilabel", label="truth", output=tmp_path / "out.csv"
    )
    got = read(tmp_path / "out.csv")
    p = sigmax.sigmoid(SCORES)
    np.testing.assert_array_equal(got["p_y"].to_numpy(), p[:, 2])
    assert got["prediction"].to_pylist()[:3] == [
        ";".join(c for c, yes in zip("wxyz", row >= 0, strict=True) if yes) for row in SCORES[:3]
    ]
    assert summary.accuracy == ((SCORES > 0.5) == (SCORES >= 0)).all(1).mean()
    assert math.isclose(
        summary.log_loss,
        np.where(SCORES > 0.5, sigmax.softplus(-SCORES), sigmax.softplus(SCORES)).mean(),
        rel_tol=1e-12,
    )


def test_rows_that_cannot_be_scored_are_counted_and_null(tmp_path):
    table = pa.table(
        {
            "a": pa.array([1, None, math.nan, -math.inf, -math.inf, math.inf]),
            "b": [0.0, 1, 2, -math.inf, 0, 1],
            "y": list("aaaaba"),
        }
    )
    summary = score_file(write(table, tmp_path / "in.parquet"), label="y", output=tmp_path / "out.parquet")
    reasons = ["a score is missing", "a score is NaN", "every score is -inf", "a score is infinite"]
    assert dict(summary.unscored) == dict.fromkeys(reasons, 1)
    assert [(r.file, r.row, r.reason) for r in summary.bad_rows] == list(
        zip(["in.parquet"] * 4, [2, 3, 4, 6], reasons, strict=True)
    )
    assert (summary.rows, summary.scored, summary.labelled) == (6, 2, 2)
    assert read(tmp_path / "out.parquet")["prediction"].to_pylist() == ["a", None, None, None, "b", None]
    assert summary.accuracy == 1
    summary = score_file(tmp_path / "in.parquet", label="y", on_bad="drop", output=tmp_path / "out.parquet")
    assert read(tmp_path / "out.parquet")["prediction"].to_pylist() == ["a", "b"]
    assert (summary.rows, summary.written) == (6, 2)
    with pytest.raises(TableError, match=r"in.parquet, row 2: a score is missing \(a = None, b = 1.0\)"):
        score_file(tmp_path / "in.parquet", label="y", on_bad="fail", output=tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()


def test_columns_by_name_and_glob_and_the_nearest_name(tmp_path):
    path = write(TABLE, tmp_path / "in.parquet")
    assert score_file(path, columns=["s_x", "s_z"]).plan.classes == ["x", "z"]
    assert score_file(path, columns=["s_*"]).plan.columns == ["s_w", "s_x", "s_y", "s_z"]
    assert score_file(path, label="truth").plan.columns == ["s_w", "s_x", "s_y", "s_z"]
    assert score_file(path).plan.left_out == [("id", "string"), ("truth", "string")]
    for arguments, message in [
        (dict(columns=["s_v"]), "did you mean 's_"),
        (dict(columns=["id"]), "'id' is string, not numeric"),
        (dict(label="trut"), "did you mean 'truth'"),
        (dict(columns=["s_w", "s_x"], label="s_x"), "both a score and the label"),
        (dict(columns=["s_w"], kind="softmax"), "always 1"),
        (dict(columns=["s_*"], kind="sigmoid"), "--kind multilabel"),
        (dict(columns=["s_*"], classes=["a", "b"]), "2 classes are named and the scores stand for 4"),
        (dict(columns=["s_*"], classes=["a", "b", "b", "c"]), "not all different"),
        (dict(temperature=-1), "-1"),
        (dict(temperature=math.nan), "nan"),
        (dict(columns=["s_*"], label="id"), "the label 'r0' in row 1"),
    ]:
        with pytest.raises(TableError, match=message):
            score_file(path, **arguments)


def test_label_of_a_later_batch_is_named_by_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(table_sources, "BATCH_ROWS", 50)
    monkeypatch.setattr(table_sources, "BATCH_BYTES", 1)
    labels = ["w"] * 300
    labels[222] = "v"
    path = write(TABLE.set_column(5, "truth", pa.array(labels)), tmp_path / "in.parquet")
    with pytest.raises(TableError, match="the label 'v' in row 223 of in.parquet is none of the classes w, x, y, z"):
        score_file(path, label="truth", output=tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == [path]


def test_csv_types_that_change_after_the_first_rows(tmp_path):
    """The first megabytes look like integers; what follows must not be lost, nor end the run."""
    rows = 400_000
    path = tmp_path / "in.csv"
    lines = [f"{i},{i % 7},{i % 5},{i % 3},0" for i in range(rows)]
    lines[-1] = "x-17,0.5,1,2,free text"
    path.write_text("id,a,b,y,note\n" + "\n".join(lines) + "\n")
    summary = score_file(path, columns=["a", "b"], output=tmp_path / "out.csv")
    assert summary.rows == rows
    last = (tmp_path / "out.csv").read_text().splitlines()[-1]
    assert last.startswith('"x-17","2","free text",0.3775')
    lines[-1] = "1,oops,1,2,0"
    path.write_text("id,a,b,y,note\n" + "\n".join(lines) + "\n")
    before = (tmp_path / "out.csv").read_bytes()
    with pytest.raises(TableError, match="in.csv, row 400000: a score is no number .a = oops, b = 1"):
        score_file(path, columns=["a", "b"], on_bad="fail", output=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    with pytest.raises(TableError, match="in.csv, row 400000, column 'a': 'oops' is no number"):
        score_file(path, columns=["a", "b"], output=tmp_path / "out.csv")
    summary = score_file(path, columns=["a", "b"], on_bad="null", output=tmp_path / "out.csv")
    assert dict(summary.unscored) == {"a score is no number": 1}
    assert summary.rows == rows


def test_a_stray_word_among_numbers_is_not_passed_over(tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n3,oops\n5,6\n")
    with pytest.raises(TableError, match="in.csv, row 2, column 'b': 'oops' is no number"):
        score_file(tmp_path / "in.csv")


def test_files_that_cannot_be_used(tmp_path):
    path = write(TABLE, tmp_path / "in.parquet")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "in.txt").touch()
    for source, target, message in [
        ("none.csv", None, "no such file"),
        ("empty.csv", None, "is empty"),
        ("broken.parquet", None, "cannot be read as parquet"),
        ("in.txt", None, "unknown ending '.txt'"),
        ("in.parquet", "in.parquet", "is the input"),
        ("in.parquet", "out.docx", "unknown ending '.docx'"),
        ("in.parquet", "none/out.csv", "no folder"),
    ]:
        with pytest.raises(TableError, match=message):
            score_file(tmp_path / source, label="truth", output=None if target is None else tmp_path / target)
    clash = write(TABLE.append_column("p_w", TABLE["id"]), tmp_path / "clash.parquet")
    with pytest.raises(TableError, match="has a column 'p_w' already"):
        score_file(clash, columns=["s_*"], output=tmp_path / "out.parquet")
    assert score_file(clash, columns=["s_*"]).head[0]["p_w"] == pytest.approx(
        sigmax.softmax(SCORES)[0, 0]
    )  # only looked at
    nested = write(TABLE.append_column("tags", pa.array([["a"]] * 300)), tmp_path / "nested.parquet")
    with pytest.raises(TableError, match="CSV cannot hold the list column 'tags'"):
        score_file(nested, columns=["s_*"], output=tmp_path / "out.csv")
    assert not list(tmp_path.glob("out.*"))
    assert path.exists()


def test_the_input_is_recognised_through_a_link(tmp_path):
    path = write(TABLE, tmp_path / "in.parquet")
    (tmp_path / "same.parquet").symlink_to(path)
    with pytest.raises(TableError, match="is the input"):
        score_file(path, output=tmp_path / "same.parquet")


def test_batches_make_no_difference(tmp_path, monkeypatch):
    path = write(TABLE, tmp_path / "in.parquet")
    whole = score_file(path, label="truth", output=tmp_path / "whole.csv")
    monkeypatch.setattr(table_sources, "BATCH_BYTES", 1)
    monkeypatch.setattr(table_sources, "BATCH_ROWS", 7)
    parts = score_file(path, label="truth", output=tmp_path / "parts.csv")
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()
    assert math.isclose(whole.log_loss, parts.log_loss, rel_tol=1e-14)
    assert json.dumps(whole.head, default=str) == json.dumps(parts.head, default=str)


def test_the_digits_agree_with_the_reference(examples, tmp_path):
    from reference import Row, ulps

    target = tmp_path / "p.parquet"
    summary = score_file(examples / "digits_scores.csv", label="label", output=target)
    scores = pa.csv.read_csv(examples / "digits_scores.csv")
    x = np.column_stack([scores[f"score_{k}"].to_numpy() for k in range(10)])
    got = read(target)
    p = np.column_stack([got[f"p_{k}"].to_numpy() for k in range(10)])
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-15)
    assert max(ulps(p[i, k], Row(x[i]).softmax(k), np.float64) for i in range(len(x)) for k in range(10)) <= 1.42
    labels = scores["label"].to_numpy()
    loss = -sum(float(Row(x[i]).log_softmax(int(y)).mid()) for i, y in enumerate(labels)) / len(x)
    assert math.isclose(summary.log_loss, loss, rel_tol=1e-14)
    assert summary.accuracy == (x.argmax(1) == labels).mean()


# ---- arrays, labels beside them, structs, keys of folders ----

RIGHT = float((SCORES.argmax(1) == LABELS).mean())


def safetensors(path, **arrays):
    """Write the format by hand: a length, JSON, the bytes one behind the other."""
    header, data = {"__metadata__": {"made": "here"}}, b""
    for name, (kind, array) in arrays.items():
        begin, data = len(data), data + np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, len(data)]}
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + data)


@pytest.mark.parametrize("batch", [65_536, 7])
@pytest.mark.parametrize("form", ["npz", "npz, compressed", "npz, across", "safetensors", "npy"])
def test_arrays_and_their_labels(tmp_path, monkeypatch, form, batch):
    monkeypatch.setattr(table_sources, "_rows_for", lambda _schema: batch)
    options = dict(label="labels", columns=["logits"])
    path = tmp_path / f"x.{form.partition(',')[0]}"
    if form == "npy":
        np.save(path, SCORES)
        np.save(tmp_path / "y.npy", LABELS)
        options = dict(labels=tmp_path / "y.npy")
    elif form == "safetensors":
        safetensors(path, logits=("F64", SCORES), labels=("I64", LABELS), rest=("F32", np.zeros((2, 2, 2), np.float32)))
    else:
        save = np.savez_compressed if "compressed" in form else np.savez
        x = np.asfortranarray(SCORES) if "across" in form else SCORES
        save(path, logits=x, labels=LABELS, words=np.array(["four", "words", "of", "it"]))
    summary = score_file(path, output=tmp_path / "p.npy", **options)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), sigmax.softmax(SCORES))
    assert (summary.rows, summary.accuracy) == (300, RIGHT)
    others = {"npy": [], "safetensors": [("rest", "float32 of shape (2, 2, 2)")]}
    assert summary.plan.left_out == others.get(form, [("words", "<U5 of shape (4,)")])


def test_half_precision_arrays(tmp_path):
    halves = SCORES.astype(np.float16)
    np.savez(tmp_path / "x.npz", halves)
    score_file(tmp_path / "x.npz", output=tmp_path / "p.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), sigmax.softmax(halves.astype(np.float32)))
    brains = SCORES.astype(ml_dtypes.bfloat16)
    safetensors(tmp_path / "x.safetensors", logits=("BF16", brains))
    score_file(tmp_path / "x.safetensors", output=tmp_path / "p.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), sigmax.softmax(brains.astype(np.float32)))


def test_labels_in_a_file_of_their_own(tmp_path):
    source = write(TABLE.drop_columns(["truth"]), tmp_path / "x.parquet")
    (tmp_path / "y.csv").write_text("truth\n" + "\n".join(NAMES))
    (tmp_path / "bare.csv").write_text("\n".join(NAMES))
    write(pa.table({"id": TABLE["id"], "truth": NAMES}), tmp_path / "both.arrow")
    np.save(tmp_path / "w.npy", np.array(NAMES))
    for options in (
        dict(labels=tmp_path / "y.csv"),
        dict(labels=str(tmp_path / "both.arrow"), label="truth"),
        dict(labels=tmp_path / "w.npy"),
    ):
        assert score_file(source, **options).accuracy == RIGHT
    with score_batches(source, labels=tmp_path / "w.npy") as batches:
        assert batches.schema.names[:2] == ["id", "w"]
    for options, said in (
        (dict(labels=tmp_path / "bare.csv"), r"bare.csv has 299 labels, .*say --no-header"),
        (dict(labels=tmp_path / "both.arrow"), "has the columns id, truth; say with --label which one"),
        (dict(labels=tmp_path / "both.arrow", label="y"), "has no column 'y'; it has id, truth"),
        (dict(labels=tmp_path / "none.npy"), "none.npy: no such file"),
    ):
        with pytest.raises(TableError, match=said):
            score_file(source, output=tmp_path / "p.parquet", **options)
    assert not (tmp_path / "p.parquet").exists()
    np.save(tmp_path / "few.npy", np.array(NAMES[:200]))
    np.save(tmp_path / "many.npy", np.array(NAMES * 2))
    for name, said in (
        ("few", "has 200 labels, and there are more rows"),
        ("many", "600 labels, and there are 300 rows"),
    ):
        with pytest.raises(TableError, match=said):
            score_file(source, labels=tmp_path / f"{name}.npy")
    (tmp_path / "twice.csv").write_text("id\n" + "\n".join(NAMES))
    with pytest.raises(TableError, match="has a column 'id' itself"):
        score_file(source, labels=tmp_path / "twice.csv")
    with pytest.raises(TableError, match="belong to one file of scores"):
        score_files([source], tmp_path / "out", labels=tmp_path / "y.csv")
    with pytest.raises(TableError, match="belong to one file of scores"):
        list(score(TABLE, labels=tmp_path / "y.csv"))


@contextlib.contextmanager
def score_batches(*args, **options):
    yield pa.Table.from_batches(score(*args, **options))


def resized(data):
    """A file of tensors whose header has another length than it had."""
    length = data.index(b"}}") + 2 - 8
    return length.to_bytes(8, "little") + data[8:]


def test_damaged_arrays_are_one_line(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([1, "a"], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "lengths.npz", a=np.zeros((3, 2)), b=np.zeros((4, 2)))
    np.savez(tmp_path / "complex.npz", a=np.zeros((3, 2), complex))
    (tmp_path / "none.npz").write_bytes(b"PK\x03\x04 no archive")
    good = tmp_path / "good.safetensors"
    safetensors(good, x=("F64", SCORES))
    whole = good.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-1])
    (tmp_path / "long.safetensors").write_bytes(b"\xff" * 8 + whole[8:])
    (tmp_path / "words.safetensors").write_bytes(whole.replace(b"data_offsets", b"Data_offsets"))
    (tmp_path / "shape.safetensors").write_bytes(whole.replace(b"[300, 4]", b"[300, 9]"))
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "fraction.safetensors").write_bytes(resized(whole.replace(b"[300, 4]", b"[300.0, 4]")))
    (tmp_path / "infinite.safetensors").write_bytes(resized(whole.replace(b"[300, 4]", b"[1e999]")))
    np.save(tmp_path / "wide.npy", np.zeros((0, 50_000_000)))
    np.save(tmp_path / "none.npy", np.zeros((3, 0)))
    for name, said in (
        ("objects.npy", "holds Python objects, which are not loaded"),
        ("lengths.npz", r"arrays of several lengths \(a \(3, 2\), b \(4, 2\)\)"),
        ("complex.npz", "holds a of shape .* scores are real numbers"),
        ("none.npz", "cannot be read as npz"),
        ("cut.safetensors", "'x' lies outside of the file"),
        ("long.safetensors", "its header has 18446744073709551615 bytes"),
        ("words.safetensors", "its header is none of this format"),
        ("shape.safetensors", "has 9600 bytes"),
        ("empty.safetensors", "it ends too early"),
        ("fraction.safetensors", r"'x' has the shape \[300.0, 4\]"),
        ("infinite.safetensors", r"'x' has the shape \[inf\]"),
        ("wide.npy", "holds rows of 50,000,000 numbers"),
        ("none.npy", r"holds rows of 0 numbers \(shape \(3, 0\)\)"),
    ):
        with pytest.raises(TableError, match=said) as error:
            score_file(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(TableError, match="are only read; write .npy"):
        score_file(good, output=tmp_path / "p.npz")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_struct_of_scores(tmp_path, ending):
    parts = pa.StructArray.from_arrays([pa.array(SCORES[:, k]) for k in range(4)], names=list("wxyz"))
    note = pa.StructArray.from_arrays([pa.array(NAMES)], names=["by"])
    source = write(pa.table({"id": TABLE["id"], "s": parts, "note": note, "truth": NAMES}), tmp_path / f"in.{ending}")
    assert score_file(source, label="truth", output=tmp_path / "out.parquet").accuracy == RIGHT
    got = pq.read_table(tmp_path / "out.parquet")
    assert got.column_names == ["id", "note", "truth", "p_w", "p_x", "p_y", "p_z", "prediction", "confidence"]
    assert got["note"][0].as_py() == {"by": NAMES[0]}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_keys_of_folders(tmp_path, ending):
    for name in "wxyz":
        folder = tmp_path / "in" / "year=2026" / f"truth={name}"
        folder.mkdir(parents=True)
        write(TABLE.filter(pa.array([n == name for n in NAMES])).drop_columns(["truth"]), folder / f"part.{ending}")
    summary = score_files(tmp_path / "in", tmp_path / "out", label="truth")
    assert (summary.rows, summary.accuracy) == (300, pytest.approx(RIGHT))
    assert ("year", "of the folder") in summary.plan.left_out
    part = read(tmp_path / "out" / "year=2026" / "truth=w" / f"part.{ending}")
    assert part.column_names == ["id", "p_w", "p_x", "p_y", "p_z", "prediction", "confidence"]
    made = pa.Table.from_batches(score(tmp_path / "in", label="truth"))
    assert made.column_names[:3] == ["id", "year", "truth"]
    assert set(made["year"].to_pylist()) == {"2026"}
    assert sorted(zip(made["id"].to_pylist(), made["truth"].to_pylist(), strict=True)) == sorted(
        zip(TABLE["id"].to_pylist(), NAMES, strict=True)
    )


def test_figures_are_json(tmp_path):
    source = write(TABLE, tmp_path / "x.csv")
    summary = score_file(source, label="truth")
    found = json.loads(json.dumps(summary.figures(), allow_nan=False))
    assert (found["rows"], found["accuracy"], found["classes"]) == (300, RIGHT, list("wxyz"))
    assert found["calibration_error_interval"] == [summary.calibration_error.low, summary.calibration_error.high]
    (tmp_path / "none.csv").write_text("s_a,s_b,truth\n,1,a\n-inf,1,a\n")
    found = json.loads(json.dumps(score_file(tmp_path / "none.csv", label="truth").figures(), allow_nan=False))
    assert (found["log_loss"], found["not_scored"]) == ("inf", {"a score is missing": 1})
    assert score_file(tmp_path / "none.csv", on_bad="drop", label="truth").rows == 2


class Slow(io.BytesIO):
    """A file that gives a few bytes at a time."""

    def __init__(self, data, block):
        super().__init__(data)
        self.block = block

    def read(self, size=-1):
        return super().read(min(self.block, size) if size >= 0 else self.block)


@pytest.mark.parametrize("block", [1 << 20, 5])
def test_lines_that_are_passed_over(tmp_path, block):
    path = tmp_path / "x.csv"
    path.write_bytes(b"%made today\ns_a,s_b,id\r\n1,2,a\r\n%1,9,b\r\n3,1,%c\r\n% a note\r\n2,2,d\r\n%the end")
    stream = WithoutRemarks(Slow(path.read_bytes(), block), "%")
    assert stream.read().splitlines() == [b"s_a,s_b,id", b"1,2,a", b"3,1,%c", b"2,2,d"]
    quoted = WithoutRemarks(
        Slow(b'a,b\n1,"x\n%y"\n%gone "\n2,"%z"\n', block), "%"
    )  # within quotes it is a part of a field
    assert quoted.read() == b'a,b\n1,"x\n%y"\n2,"%z"\n'
    dialect = Dialect(comment="%")
    assert score_file(path, dialect=dialect, output=tmp_path / "p.csv").rows == 3
    assert pa.csv.read_csv(tmp_path / "p.csv")["id"].to_pylist() == ["a", "%c", "d"]
    with pytest.raises(TableError, match="the comment is '%%'"):
        Dialect(comment="%%")
    with pytest.raises(TableError):
        score_file(path)


def test_no_column_hides_behind_another_of_its_name(tmp_path):
    twice = pa.StructArray.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    pair = pa.StructArray.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "b"])
    for table in (pa.table({"x": twice}), pa.table({"x.a": [9.0], "x": pair})):
        with pa.ipc.new_file(tmp_path / "x.arrow", table.schema) as sink:
            sink.write_table(table)
        with pytest.raises(TableError, match=r"two columns are called 'x\.a'"):
            score_file(tmp_path / "x.arrow")


def test_labels_beside_are_blamed_for_what_is_wrong_with_them(tmp_path):
    np.save(tmp_path / "x.npy", SCORES)
    np.save(tmp_path / "y.npy", LABELS[:, None])  # as scikit-learn and Keras write them
    assert score_file(tmp_path / "x.npy", labels=tmp_path / "y.npy").accuracy == RIGHT
    np.save(tmp_path / "z.npy", LABELS + 7)
    with pytest.raises(TableError, match=r"the label \d+ in row 1 of z.npy"):
        score_file(tmp_path / "x.npy", labels=tmp_path / "z.npy")
    np.savez(tmp_path / "x.npz", logits=SCORES, y=LABELS[:7])
    with pytest.raises(TableError, match=r"'y' is int64 of shape \(7,\), and does not go with the rows"):
        score_file(tmp_path / "x.npz", label="y")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": 1}, "label is 1; pass the name"),
        ({"label": ["truth"]}, r"label is \['truth'\]"),
        ({"columns": 1}, "columns is 1; pass a list of names"),
        ({"columns": ["s_w", 1]}, "columns holds 1, of type int"),
        ({"classes": 4}, "classes is 4; pass a list"),
        ({"classes": [None, "b"]}, "classes holds None, of type NoneType"),
        ({"temperature": "x"}, "temperature is 'x'; it must be a number"),
        ({"temperature": None}, "temperature is None"),
        ({"temperature": True}, "temperature is True"),
        ({"as_scores": "no"}, "as_scores is 'no'; it must be True or False"),
        ({"workers": "2"}, "workers is '2'; it must be a whole number"),
        ({"workers": 1.5}, "workers is 1.5"),
        ({"dialect": {}}, r"dialect is {}; pass a Dialect"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, options, said):
    source = write(TABLE, tmp_path / "x.csv")
    with pytest.raises(TableError, match=said):
        score_file(source, **options)


def test_names_are_checked_before_anything_is_written(tmp_path):
    source = write(TABLE, tmp_path / "x.csv")
    for wrong, said in (("nothing.csv", "no such file"), (5, "5 is no name of a file, but of type int")):
        with pytest.raises(TableError, match=said):
            score_files([source, wrong], tmp_path / "out")
        assert not (tmp_path / "out").exists()
    for wrong in (5, np.zeros((2, 3))):
        with pytest.raises(TableError, match="cannot read a "):
            score(wrong)
    numbered = pa.table({"s_0": [1.0, 0.0], "s_1": [0.0, 2.0], "y": ["7", "9"]})
    assert score_file(write(numbered, tmp_path / "n.csv"), label="y", classes=[7, 9]).accuracy == 1


@pytest.mark.parametrize("largest", [1.7e308, -1.7e308, 3e302])
def test_scores_near_the_largest_number_are_scored_without_a_word(tmp_path, largest):
    np.save(tmp_path / "x.npy", np.array([[largest, -1.0, -2.0], [-1.0, largest, -3.0], [-5.0, -4.0, largest]]))
    assert score_file(tmp_path / "x.npy").scored == 3  # warnings are errors here


def test_a_header_that_is_no_text_is_said_with_the_remedy(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes("größe_a\tgröße_b\n1.0\t2.0\n".encode("latin-1"))
    with pytest.raises(
        TableError, match=r"a\.tsv cannot be read as csv: .* byte 0xf6 .*; name its encoding, as in --encoding latin-1"
    ):
        score_file(path)
    assert score_file(path, dialect=Dialect(encoding="latin-1")).plan.classes == ["a", "b"]


def test_text_that_is_none_is_blamed_on_its_parquet_file(tmp_path):
    path = tmp_path / "a.parquet"
    text = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff"))
    pq.write_table(pa.table({"s_a": [1.0, 2.0], "s_b": [0.0, 1.0], "text": text}), path)
    with pytest.raises(TableError, match=r"a\.parquet cannot be read as parquet: .*UTF8"):
        score_file(path)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda p: score_file(p, "o.csv"), TypeError, "the second argument is 'o.csv', which is no Job; .* output='"),
        (lambda p: score_file(p, colums=["a"]), TypeError, "there is no option 'colums': did you mean 'columns'?"),
        (lambda p: score_file(p, wholly=1), TypeError, "there is no option 'wholly': there are columns, label, "),
        (lambda p: score_file([p]), TableError, "a list is no path of a score file; sigmax.tables.score takes lists"),
        (lambda p: score_file(None), TableError, "a NoneType is no path of a score file"),
        (lambda p: score_file(p, labels=np.zeros(3)), TableError, "labels is a ndarray; pass the path of a file"),
    ],
)
def test_what_is_no_argument_is_told_in_words(tmp_path, call, error, said):
    (tmp_path / "a.csv").write_text("s_a,s_b\n1,2\n")
    with pytest.raises(error, match=said):
        call(tmp_path / "a.csv")
