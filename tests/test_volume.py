"""Folders, globs, streams, workers, reruns and clusters: the same rows, the same bytes, none lost."""

import bz2
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from command import run as command

import sigmax
from sigmax.tables import Job, TableError, score, score_file, score_files
from sigmax.tables import sources as table_sources
from sigmax.tables.collected import collect
from sigmax.tables.measured import measure_files
from sigmax.tables.record import Record

RNG = np.random.default_rng(3)
NAMES = [f"s_{c}" for c in "wxyz"]


def table(rows=1000, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, 4)) * 3
    return pa.table(
        {
            "id": np.arange(rows),
            **{n: scores[:, k] for k, n in enumerate(NAMES)},
            "y": np.array(list("wxyz"))[scores.argmax(1)],
        }
    )


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    (root / "deep").mkdir(parents=True)
    for i, name in enumerate(["a.parquet", "b.parquet", "deep/c.parquet"]):
        pq.write_table(table(500, seed=i), root / name, row_group_size=70)
    (root / "notes.txt").write_text("not a score file")
    (root / "_old.parquet").write_text("hidden")
    return root


OPTIONS = dict(columns=["s_*"], label="y")


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.parquet"))}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_folder_gives_a_folder_of_the_same_bytes(folder, tmp_path, workers):
    summary = score_files(folder, tmp_path / "out", workers=workers, **OPTIONS)
    assert (summary.rows, summary.accuracy) == (1500, 1.0)
    assert list(contents(tmp_path / "out")) == ["a.parquet", "b.parquet", "deep/c.parquet"]
    for name, data in contents(tmp_path / "out").items():
        score_file(folder / name, output=tmp_path / "one.parquet", workers=1, **OPTIONS)
        assert (tmp_path / "one.parquet").read_bytes() == data


def test_globs_and_lists(folder, tmp_path):
    assert score_files(str(folder / "*.parquet"), tmp_path / "g", **OPTIONS).rows == 1000
    assert sorted(contents(tmp_path / "g")) == ["a.parquet", "b.parquet"]
    assert score_files([folder / "deep", folder / "a.parquet"], tmp_path / "l", **OPTIONS).rows == 1000
    assert sorted(contents(tmp_path / "l")) == ["a.parquet", "deep/c.parquet"]
    for source, output, message in [
        (folder / "none*.parquet", None, "no score file matches"),
        (folder / "deep" / "..", folder, "is the folder of the input"),
        (folder, tmp_path / "x.parquet", "named like a file"),
        ([], None, "no files are named"),
    ]:
        with pytest.raises(TableError, match=message):
            score_files(source, output, **OPTIONS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="has no score files"):
        score_files(tmp_path / "empty", **OPTIONS)


def test_each_file_is_scored_once(folder, tmp_path):
    several = [str(folder / "*.parquet"), folder / "a.parquet", folder / "deep" / ".." / "b.parquet", folder]
    for workers in (1, 4):
        assert score_files(several, tmp_path / f"out{workers}", workers=workers, **OPTIONS).rows == 1500
        assert sorted(contents(tmp_path / f"out{workers}")) == ["a.parquet", "b.parquet", "deep/c.parquet"]
    assert sum(batch.num_rows for batch in score(several, **OPTIONS)) == 1500
    (folder / "again.parquet").symlink_to(folder / "a.parquet")
    assert score_files(folder, **OPTIONS).rows == 1500


def test_a_later_file_with_one_class_more_does_not_lose_it(folder, tmp_path):
    pq.write_table(table(9).append_column("s_v", pa.array(np.arange(9.0))), folder / "b.parquet")
    for columns in ([], ["s_*"]):
        rest = dict(label="y", columns=columns)
        for path in folder.rglob("*.parquet"):
            if not path.name.startswith("_"):
                pq.write_table(
                    pq.read_table(path).drop_columns(["id"] if "id" in pq.read_schema(path).names else []), path
                )
        with pytest.raises(TableError, match="b.parquet has the numeric column 's_v', which a.parquet has not"):
            score_files(folder, tmp_path / f"out{len(columns)}", **rest)
        with pytest.raises(TableError, match="'s_v', which a.parquet has not"):
            list(score([folder / "a.parquet", folder / "b.parquet"], **rest))
    assert score_files(folder, label="y", columns=NAMES).rows == 1009


def test_a_rerun_goes_on_after_what_is_complete(folder, tmp_path):
    out = tmp_path / "out"
    (folder / "b.parquet").rename(tmp_path / "kept")
    (folder / "b.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(TableError, match="cannot be read as parquet"):
        score_files(folder, out, workers=1, **OPTIONS)
    assert list(contents(out)) == ["a.parquet"]
    (tmp_path / "kept").replace(folder / "b.parquet")
    before = (out / "a.parquet").stat()
    stale = out / ".sigmax-0123456789abcdef.part"
    stale.touch()
    summary = score_files(folder, out, workers=1, **OPTIONS)
    assert summary.rows == 1500
    assert not stale.exists()
    assert (out / "a.parquet").stat().st_mtime_ns == before.st_mtime_ns  # it was not done again
    whole = score_files(folder, tmp_path / "whole", workers=1, **OPTIONS)
    assert contents(out) == contents(tmp_path / "whole")
    assert (summary.accuracy, summary.log_loss, summary.mean_entropy) == pytest.approx(
        (whole.accuracy, whole.log_loss, whole.mean_entropy), rel=1e-14
    )
    # a source that has changed, and a result that is gone, are done again
    pq.write_table(table(500, seed=9), folder / "a.parquet")
    (out / "deep" / "c.parquet").unlink()
    assert score_files(folder, out, **OPTIONS).rows == 1500
    assert (out / "a.parquet").stat().st_mtime_ns != before.st_mtime_ns
    assert sorted(contents(out)) == ["a.parquet", "b.parquet", "deep/c.parquet"]
    with pytest.raises(TableError, match="made with temperature = 1.0"):
        score_files(folder, out, temperature=2.0, **OPTIONS)


def test_results_do_not_become_sources(folder, tmp_path):
    for source in (folder, [folder / "deep", folder]):
        with pytest.raises(TableError, match="lies in the folder of the input, where the next run would score it"):
            score_files(source, folder / "deep" / "out", **OPTIONS)
    assert not (folder / "deep" / "out").exists()
    (tmp_path / "out").mkdir()
    for text in ("[]\n", "{", "", '{"options": 1}\n', '{"file": "a"}\n', '{"options": {}}\n{}\n'):
        (tmp_path / "out" / "_sigmax.jsonl").write_text(text)
        with pytest.raises(TableError, match="_sigmax.jsonl is no record of a run"):
            score_files(folder, tmp_path / "out", **OPTIONS)


def damaged(path, data, seed):
    """Flip a few bits, or cut the end."""
    rng = np.random.default_rng(seed)
    broken = bytearray(data)
    for at in rng.integers(0, len(broken), 1 + seed % 3):
        broken[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(broken[: len(broken) - int(rng.integers(1, 200))] if seed % 5 == 0 else broken))


@pytest.mark.parametrize("ending", ["arrow", "feather", "parquet", "npy", "csv.gz"])
def test_damaged_files_are_an_error_or_an_answer(tmp_path, ending):
    """Never a signal, nor a traceback: the process that reads them all lives to the end."""
    whole = tmp_path / f"whole.{ending}"
    scores = table(300)
    text = pa.table({**{n: scores[n] for n in NAMES}, "note": [f"row {i}" for i in range(300)], "y": scores["y"]})
    if ending == "parquet":
        pq.write_table(text, whole)
    elif ending == "npy":
        np.save(whole, np.column_stack([scores[n] for n in NAMES]))
    elif ending == "csv.gz":
        plain = io.BytesIO()
        pa.csv.write_csv(text, plain)
        whole.write_bytes(gzip.compress(plain.getvalue()))
    else:
        with pa.ipc.new_file(whole, text.schema) as sink:
            sink.write_table(text, 100)
    data = whole.read_bytes()
    for seed in range(60):
        damaged(tmp_path / f"{seed:03}.{ending}", data, seed)
    program = f"""
import pathlib, warnings
warnings.simplefilter("ignore")
from sigmax.tables import TableError, score_file
for path in sorted(pathlib.Path({str(tmp_path)!r}).glob("[0-9]*.{ending}")):
    try:
        score_file(path, workers=1, output=path.with_name("out.parquet"))
    except TableError as error:
        assert len(str(error).splitlines()) == 1, error
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "alive\n", (done.returncode, done.stderr[-1500:])


def test_an_array_that_is_cut_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(table_sources, "BATCH_ROWS", 50)
    np.save(tmp_path / "x.npy", RNG.normal(size=(100_000, 4)))
    batches = iter(score(tmp_path / "x.npy", workers=1))
    next(batches)
    os.truncate(tmp_path / "x.npy", 4000)
    with pytest.raises(TableError, match="x.npy cannot be read as npy: it ends too early"):
        list(batches)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lambda b: pa.compress(b, "zstd", asbytes=True)])
def test_compressed_csv_in_and_out(tmp_path, compress):
    ending = {gzip.compress: "gz", bz2.compress: "bz2"}.get(compress, "zst")
    plain = io.BytesIO()
    pa.csv.write_csv(table(), plain)
    source = tmp_path / f"in.csv.{ending}"
    source.write_bytes(compress(plain.getvalue()))
    assert score_file(source, output=tmp_path / f"out.csv.{ending}", **OPTIONS).rows == 1000
    got = pa.csv.read_csv(tmp_path / f"out.csv.{ending}")
    p = np.column_stack([got[f"p_{c}"].to_numpy() for c in "wxyz"])
    np.testing.assert_array_equal(p, sigmax.softmax(np.column_stack([table()[n].to_numpy() for n in NAMES])))


def run(*arguments, stdin=b""):
    return command("score", *arguments, stdin=stdin, text=False)


def test_standard_input_to_standard_output():
    for write, options in [
        (pa.csv.write_csv, []),
        (pq.write_table, ["--output-format", "parquet"]),
        (lambda t, f: pa.ipc.new_stream(f, t.schema).write_table(t), ["--output-format", "arrow"]),
    ]:
        data = io.BytesIO()
        write(table(50), data)
        done = run("-", "-o", "-", "--label", "y", "--columns", "s_*", *options, stdin=data.getvalue())
        assert done.returncode == 0, done.stderr
        assert b"accuracy" in done.stderr
        read = {"parquet": pq.read_table, "arrow": lambda f: pa.ipc.open_file(f).read_all()}
        got = read.get(options[-1] if options else "", pa.csv.read_csv)(
            pa.py_buffer(done.stdout).to_pybytes() and io.BytesIO(done.stdout)
        )
        assert got["id"].to_pylist() == list(range(50))
        assert got["prediction"].to_pylist() == table(50)["y"].to_pylist()
    done = run("-", "-o", "-", stdin=b"a,b\n1,2\n3,oops\n4,5\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"sigmax: stdin.csv, row 2, column 'b': 'oops' is no number")


def test_scores_that_are_no_scores(tmp_path):
    scores = RNG.normal(size=(20, 4)) * 3
    p = sigmax.softmax(scores)
    for values, message in [
        (p, "hold probabilities, no scores"),
        (p.round(3), "hold probabilities, no scores"),
        (p.astype(np.float32), "hold probabilities, no scores"),
        (sigmax.log_softmax(scores), "hold log-probabilities, no scores"),
        (sigmax.log_softmax(scores) / np.log(10), "hold log-probabilities to base 10, no scores"),
        ((100 * p).round(), "hold percentages, no scores"),
        ((500 * p).round(), "hold shares of 500, no scores"),
        (np.vstack([p, [[-1.0] * 4]]), "hold probabilities, no scores"),  # one row in twenty may be anything
    ]:
        source = tmp_path / "p.parquet"
        pq.write_table(pa.table({n: values[:, k] for k, n in enumerate(NAMES)}), source)
        with pytest.raises(TableError, match=message):
            score_file(source, output=tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()
        assert score_file(source, as_scores=True).rows == len(values)
    for values in (scores, np.abs(scores) / 100, np.vstack([p, scores])):
        pq.write_table(pa.table({n: values[:, k] for k, n in enumerate(NAMES)}), source)
        assert score_file(source).rows == len(values)


def test_words_among_the_scores(tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n3,oops\n,4\n5, 6 \n7,1e1\n8,nan\n")
    summary = score_file(tmp_path / "in.csv", on_bad="null", output=tmp_path / "out.parquet")
    assert dict(summary.unscored) == {"a score is no number": 1, "a score is missing": 1, "a score is NaN": 1}
    assert [r.row for r in summary.bad_rows] == [2, 3, 6]
    assert summary.bad_rows[0].values == "a = 3.0, b = oops"
    got = pq.read_table(tmp_path / "out.parquet")
    wanted = sigmax.softmax([[1.0, 2], [5, 6], [7, 10]])[:, 1]
    assert got["p_b"].drop_null().to_pylist() == wanted.tolist()


def test_record_batches(folder):
    batches = score(folder, **OPTIONS)
    with pytest.raises(TableError, match="before the first batch"):
        _ = batches.summary
    rows = [batch.num_rows for batch in batches]
    assert sum(rows) == batches.summary.rows == 1500
    whole = pa.Table.from_batches(batches)  # it can be read again
    assert whole.column_names == ["id", "y", "p_w", "p_x", "p_y", "p_z", "prediction", "confidence"]
    for data in (table(), table().to_batches()[0], table().to_reader(), pl.from_arrow(table())):
        got = pa.Table.from_batches(score(data, **OPTIONS))
        np.testing.assert_array_equal(got["p_w"], sigmax.softmax(np.column_stack([table()[n] for n in NAMES]))[:, 0])
    with pytest.raises(TableError, match="cannot read a int"):
        list(score(5))
    with pytest.raises(TableError, match="number of workers is 0"):
        list(score(table(), workers=0))


def test_an_error_in_a_late_batch_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(table_sources, "BATCH_ROWS", 50)
    monkeypatch.setattr(table_sources, "BATCH_BYTES", 1)
    scores = table(5000)
    broken = scores.set_column(2, "s_x", pa.array([None if i == 4321 else 1.0 for i in range(5000)], pa.float64()))
    pq.write_table(broken, tmp_path / "in.parquet", row_group_size=100)
    with pytest.raises(TableError, match="in.parquet, row 4322: a score is missing"):
        score_file(tmp_path / "in.parquet", on_bad="fail", output=tmp_path / "out.parquet", **OPTIONS)
    assert [p.name for p in tmp_path.iterdir()] == ["in.parquet"]


# ---- a cluster of two workers, in processes of their own ----


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_bytes(cluster, folder, tmp_path):
    here = score_files(folder, tmp_path / "here", **OPTIONS)
    there = score_files(folder, tmp_path / "there", scheduler=cluster.scheduler_address, **OPTIONS)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert (here.rows, here.accuracy) == (there.rows, there.accuracy)
    assert here.log_loss == pytest.approx(there.log_loss, rel=1e-14)
    (tmp_path / "in.csv").write_text("a,b,c\n" + "1,2,0\n" * 400_000 + "1.5,2,x\n")  # types that change late
    for scheduler in (None, cluster.scheduler_address):
        score_files(tmp_path / "in.csv", tmp_path / f"{scheduler is None}.csv", columns=["a", "b"], scheduler=scheduler)
        with pytest.raises(TableError, match="in.csv, row 400001, column 'c': 'x' is no number"):
            score_files(tmp_path / "in.csv", columns=["b", "c"], scheduler=scheduler)
    assert (tmp_path / "True.csv").read_bytes() == (tmp_path / "False.csv").read_bytes()
    with pytest.raises(TableError, match="row 400001: a score is no number"):
        score_files(tmp_path / "in.csv", columns=["b", "c"], on_bad="fail", scheduler=cluster.scheduler_address)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_measures_and_collects_as_one_process(cluster, folder):
    job = Job(columns=tuple(OPTIONS["columns"]), label="y")
    for path in folder.rglob("[a-z].parquet"):
        rows = pq.read_table(path)
        pq.write_table(rows.append_column("half", pa.array([str(i % 2) for i in range(500)])), path, row_group_size=70)
    here = measure_files(folder, job, by="half")
    there = measure_files(folder, job, by="half", scheduler=cluster.scheduler_address)
    assert here.evidence.rows > 1000
    assert here.evidence.state() == there.evidence.state()
    assert list(here.groups) == list(there.groups)
    assert {n: e.state() for n, e in here.groups.items()} == {n: e.state() for n, e in there.groups.items()}
    assert here.judged.sentence() == there.judged.sentence()
    kept, far = collect(folder, job), collect(folder, job, scheduler=cluster.scheduler_address)
    assert len(kept.labels) == here.evidence.rows
    np.testing.assert_array_equal(kept.scores, far.scores)
    np.testing.assert_array_equal(kept.labels, far.labels)


@pytest.mark.filterwarnings("ignore")
def test_a_worker_killed_in_the_middle_costs_no_row(cluster, tmp_path):
    source = tmp_path / "in.parquet"
    names = [f"s_{k}" for k in range(40)]
    with pq.ParquetWriter(source, pa.schema([("id", pa.int64()), *((n, pa.float64()) for n in names)])) as writer:
        for i in range(20):
            scores = np.random.default_rng(i).normal(size=(40, 50_000))
            writer.write_table(pa.table([np.arange(50_000) + 50_000 * i, *scores], schema=writer.schema))
    score_file(source, columns=names, output=tmp_path / "here.parquet")
    killed = []

    def kill_one(done, parts):
        if done == 3 and not killed:
            assert parts >= 8
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    summary = score_files(
        source, tmp_path / "there.parquet", columns=names, scheduler=cluster.scheduler_address, progress=kill_one
    )
    assert killed
    assert not _alive(killed[0])
    assert summary.rows == 1_000_000
    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()
    ids = pq.read_table(tmp_path / "there.parquet", columns=["id"])["id"].to_numpy()
    np.testing.assert_array_equal(ids, np.arange(1_000_000))


def _alive(pid):
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def test_no_scheduler_there(tmp_path):
    pq.write_table(table(10), tmp_path / "in.parquet")
    with pytest.raises(TableError, match="no Dask scheduler answers at nonsense"):
        score_files(tmp_path / "in.parquet", scheduler="nonsense://x")
    code = (
        "import sys; sys.modules['distributed'] = None\nfrom sigmax.tables import score_files\n"
        f"try: score_files({str(tmp_path / 'in.parquet')!r}, scheduler='tcp://x:1')\nexcept ValueError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "a cluster needs 'distributed'; install it with: pip install 'sigmax[cluster]'\n"


def test_the_record_is_json_that_people_can_read(folder, tmp_path):
    score_files(folder, tmp_path / "out", **OPTIONS)
    options, *files = map(json.loads, (tmp_path / "out" / "_sigmax.jsonl").read_text().splitlines())
    assert options["options"]["label"] == "y"
    assert {f["file"]: f["state"]["rows"] for f in files}["deep/c.parquet"] == 500


def test_a_record_with_an_infinite_loss_is_json_and_goes_on(tmp_path):
    (tmp_path / "in").mkdir()
    for name, rows in (("a", "-inf,1,0\n3,1,0\n"), ("b", "2,1,1\n")):
        (tmp_path / "in" / f"{name}.csv").write_text("s_0,s_1,y\n" + rows)
    first = score_files(tmp_path / "in", tmp_path / "out", label="y", temperature=2.0)
    assert first.log_loss == np.inf

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    record = tmp_path / "out" / "_sigmax.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    losses = [json.loads(line, parse_constant=refuse).get("state", {}).get("loss") for line in lines]
    assert losses[1:] == ["inf", pytest.approx(float(sigmax.softplus(0.5)))]
    # a run that was killed while it wrote the last line
    record.write_text("".join(lines)[:-20])
    (tmp_path / "out" / "b.csv").unlink()
    again = score_files(tmp_path / "in", tmp_path / "out", label="y", temperature=2.0)
    assert again.figures() == first.figures()
    assert sorted(record.read_text().splitlines()) == sorted("".join(lines).splitlines())


def test_a_record_grows_by_a_line_a_file(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for i in range(30):
        (tmp_path / "in" / f"{i:02}.csv").write_text(f"s_0,s_1\n{i + 0.5},-2.5\n")
    rewritten = []
    monkeypatch.setattr(Record, "_write", lambda self, write=Record._write: (rewritten.append(1), write(self)))
    score_files(tmp_path / "in", tmp_path / "out")
    assert len(rewritten) == 1
    assert len((tmp_path / "out" / "_sigmax.jsonl").read_text().splitlines()) == 31
