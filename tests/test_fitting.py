"""Regression on files: the same bits however they are read, what columns may hold, models that are kept and applied."""

import json
import os
import signal

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
from command import run

import sigmax
from sigmax.errors import InputError
from sigmax.regression import LogisticRegression, SeparationError
from sigmax.tables import TableError, score_file, sources
from sigmax.tables import survey as surveys
from sigmax.tables.fitting import Fitting, fit_files
from sigmax.tables.model import Model


def drawn(rows, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    frame = pandas.DataFrame(
        {
            "age": rng.normal(50, 12, rows).round(1),
            "income": np.exp(rng.normal(10, 1, rows)).round(2),
            "colour": rng.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2]),
            "member": rng.random(rows) < 0.4,
            "visits": rng.integers(0, 9, rows),
        }
    )
    z = (
        0.05 * (frame["age"] - 50)
        + 0.5 * (np.log(frame["income"]) - 10)
        + (frame["colour"] == "red")
        - frame["member"]
        + 0.1 * frame["visits"]
    )
    if classes == 2:
        frame["bought"] = np.where(rng.random(rows) < sigmax.sigmoid(z.to_numpy()), "yes", "no")
    else:
        scores = np.column_stack([z, 0.5 * z + 0.3, np.zeros(rows)]) + rng.gumbel(size=(rows, 3))
        frame["bought"] = np.array(["a", "b", "c"])[scores.argmax(axis=1)]
    return frame


def encoded(frame):
    """What the features are, in other words."""
    words = [(frame["colour"] == c).astype(float) for c in ("blue", "green", "red")]
    return np.column_stack([frame["age"], frame["income"], *words, frame["member"].astype(float), frame["visits"]])


NAMES = ["age", "income", "colour=blue", "colour=green", "colour=red", "member", "visits"]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow", "csv.gz"])
def test_a_file_gives_what_the_estimator_gives(tmp_path, ending, classes):
    frame = drawn(3000, classes=classes)
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        frame.to_parquet(path, row_group_size=700)
    elif ending == "arrow":
        frame.assign(colour=frame["colour"].astype("category")).to_feather(path, compression="uncompressed")
    else:
        frame.to_csv(path, index=False)
    found = fit_files(path, Fitting("bought"))
    want = LogisticRegression().fit(encoded(frame), frame["bought"])
    assert found.model.features.names == NAMES
    assert found.model.classes == want.classes_.tolist()
    np.testing.assert_allclose(found.model.coefficients, want.coef_, rtol=1e-6, atol=1e-11)
    np.testing.assert_allclose(found.model.intercept, want.intercept_, rtol=1e-7)
    assert (found.rows, found.left_out) == (3000, {})
    assert 0 <= found.gap < 1e-11
    shares = frame["bought"].value_counts(normalize=True)
    assert found.shares == pytest.approx(shares.to_dict())
    # and scores of the file are those of the estimator
    found.model.save(tmp_path / "m.json")
    summary = score_file(path, model=tmp_path / "m.json", label="bought", output=tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    p = np.column_stack([table[f"p_{c}"].to_numpy() for c in want.classes_])
    np.testing.assert_allclose(p, want.predict_proba(encoded(frame)), rtol=1e-6)
    assert table.column_names[0] == "bought"
    assert summary.log_loss == pytest.approx(found.log_loss, rel=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("ignore")
def test_the_same_bits_however_the_rows_are_read(tmp_path, monkeypatch, classes):
    monkeypatch.setattr(surveys, "BLOCK", 1000)
    monkeypatch.setattr(surveys, "SAMPLE", 500)
    (tmp_path / "in").mkdir()
    for k in range(3):
        drawn(9000, seed=k, classes=classes).to_parquet(tmp_path / "in" / f"{k}.parquet", row_group_size=2500)
    want = fit_files(tmp_path / "in", Fitting("bought"), workers=1)
    assert want.rows == 27_000
    assert want.passes == 2
    settings = [{"workers": 2}, {"workers": 5}]
    for more in settings:
        assert fit_files(tmp_path / "in", Fitting("bought"), **more).model.to_json() == want.model.to_json()
    before = sigmax.get_num_threads()
    for threads in (1, 3):
        sigmax.set_num_threads(threads)
        assert fit_files(tmp_path / "in", Fitting("bought")).model.to_json() == want.model.to_json()
    sigmax.set_num_threads(before)
    from sigmax.tables import fitting as fits

    monkeypatch.setattr(fits, "KEPT", 0)  # as if it were larger than memory
    again = fit_files(tmp_path / "in", Fitting("bought"))
    assert again.model.to_json() == want.model.to_json()
    assert again.passes > 4
    monkeypatch.setattr(sources, "BATCH_ROWS", 1024)  # rows that are read at once
    monkeypatch.setattr(sources, "_rows_for", lambda schema: 333)
    whole = fit_files(tmp_path / "in" / "0.parquet", Fitting("bought"))
    monkeypatch.setattr(sources, "_rows_for", lambda schema: 2000)
    parts = fit_files(tmp_path / "in" / "0.parquet", Fitting("bought"))
    assert _without_parts(whole) == _without_parts(parts)
    frame = pandas.concat([drawn(9000, seed=k, classes=classes) for k in range(3)])
    direct = LogisticRegression().fit(encoded(frame), frame["bought"])
    np.testing.assert_allclose(want.model.coefficients, direct.coef_, rtol=1e-6, atol=1e-11)


def _without_parts(found):
    return json.loads(found.model.to_json())["classes"], np.round(found.model.coefficients, 8).tolist()


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_bits_and_a_killed_worker_costs_nothing(cluster, tmp_path):
    for k in range(2):
        drawn(200_000, seed=k).to_parquet(tmp_path / f"{k}.parquet", row_group_size=40_000)
    source = str(tmp_path / "*.parquet")
    here = fit_files(source, Fitting("bought", C=0.5))
    there = fit_files(source, Fitting("bought", C=0.5), scheduler=cluster.scheduler_address)
    assert there.model.to_json() == here.model.to_json()
    killed = []

    def kill_one(done, parts):
        if done == parts - 1 and not killed:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    again = fit_files(source, Fitting("bought", C=0.5), scheduler=cluster.scheduler_address, progress=kill_one)
    assert killed
    assert again.model.to_json() == here.model.to_json()


def test_missing_values_are_refused_by_name_or_filled(tmp_path):
    frame = drawn(2000)
    frame.loc[::7, "age"] = np.nan
    frame.loc[::11, "colour"] = None
    for path in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
        with pytest.raises(TableError, match=r"missing in 'age' \(286 rows\), 'colour' \(182 rows\)"):
            fit_files(path, Fitting("bought"))
        found = fit_files(path, Fitting("bought", missing="mean"))
        names = found.model.features.names
        assert names == ["age", "age is missing", "income", *NAMES[2:5], "colour is missing", "member", "visits"]
        filled = frame.assign(age=frame["age"].fillna(frame["age"].mean()))
        x = encoded(filled)
        x = np.column_stack([x[:, 0], frame["age"].isna(), x[:, 1:5], frame["colour"].isna(), x[:, 5:]]).astype(float)
        want = LogisticRegression().fit(x, frame["bought"])
        np.testing.assert_allclose(found.model.coefficients, want.coef_, rtol=1e-6, atol=1e-10)
        dropped = fit_files(path, Fitting("bought", on_bad="drop"))
        kept = frame.dropna()
        assert dropped.rows == len(kept)
        assert dropped.left_out == {"with a value that is missing or infinite": 2000 - len(kept)}
        np.testing.assert_allclose(
            dropped.model.coefficients,
            LogisticRegression().fit(encoded(kept), kept["bought"]).coef_,
            rtol=1e-6,
            atol=1e-10,
        )
        # what is missing is scored where the model was told what it means, and is not where it was not
        found.model.save(tmp_path / "filled.json")
        dropped.model.save(tmp_path / "dropped.json")
        assert score_file(path, model=tmp_path / "filled.json").scored == 2000
        summary = score_file(path, model=tmp_path / "dropped.json")
        assert summary.scored == len(kept)
        assert summary.unscored["'age' is missing"] == 286


def test_infinite_values_and_missing_classes(tmp_path):
    frame = drawn(1000)
    frame.loc[5, "income"] = np.inf
    frame.loc[10:19, "bought"] = None
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"infinite values in 'income' \(1 rows\)"):
        fit_files(tmp_path / "t.parquet", Fitting("bought"))
    found = fit_files(tmp_path / "t.parquet", Fitting("bought", on_bad="drop"))
    assert found.left_out == {"without a class": 10, "with a value that is missing or infinite": 1}
    assert found.rows == 989


def test_words_that_the_model_does_not_know_are_counted(tmp_path):
    frame = drawn(1000)
    frame.to_csv(tmp_path / "t.csv", index=False)
    fit_files(tmp_path / "t.csv", Fitting("bought")).model.save(tmp_path / "m.json")
    new = frame.assign(colour=np.where(np.arange(1000) < 3, "violet", frame["colour"]))
    new.to_csv(tmp_path / "n.csv", index=False)
    summary = score_file(tmp_path / "n.csv", model=tmp_path / "m.json", output=tmp_path / "p.npy")
    assert any("3 rows have a word in 'colour' that the model does not know" in w for w in summary.warnings)
    model = Model.load(tmp_path / "m.json")
    x = encoded(new)
    z = x @ model.coefficients[0] + model.intercept[0]
    np.testing.assert_allclose(np.load(tmp_path / "p.npy")[:, 1], sigmax.sigmoid(z), rtol=1e-9)


def test_weights_count_as_repeated_rows(tmp_path):
    frame = drawn(1500)
    frame["w"] = np.random.default_rng(0).integers(0, 3, 1500)
    frame.to_parquet(tmp_path / "w.parquet")
    frame.loc[frame.index.repeat(frame["w"])].drop(columns="w").to_parquet(tmp_path / "r.parquet")
    weighted = fit_files(tmp_path / "w.parquet", Fitting("bought", weights="w"))
    repeated = fit_files(tmp_path / "r.parquet", Fitting("bought"))
    np.testing.assert_allclose(weighted.model.coefficients, repeated.model.coefficients, rtol=1e-6, atol=1e-11)
    assert weighted.left_out == {"of weight 0": int((frame["w"] == 0).sum())}
    assert weighted.log_loss == pytest.approx(repeated.log_loss)


def test_no_penalty(tmp_path):
    frame = drawn(3000)
    frame.to_parquet(tmp_path / "t.parquet")
    found = fit_files(tmp_path / "t.parquet", Fitting("bought", C=np.inf))
    want = LogisticRegression(np.inf).fit(encoded(frame), frame["bought"])  # of least norm: indicators add up to 1
    np.testing.assert_allclose(found.model.coefficients, want.coef_, rtol=1e-5, atol=1e-9)
    assert np.isnan(found.gap)
    assert found.decrement < 1e-12
    frame["told"] = (frame["bought"] == "yes") * 1.0
    frame.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(SeparationError, match="told apart without an error by told"):
        fit_files(tmp_path / "s.parquet", Fitting("bought", C=np.inf))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "name their column with --label"),
        ({"label": "buys"}, "did you mean 'bought'"),
        ({"label": "bought", "features": ["agee"]}, "did you mean 'age'"),
        ({"label": "bought", "features": ["age", "bought"]}, "both a feature and the label"),
        ({"label": "income"}, "more than 1,000 values"),
        ({"label": "bought", "weights": "colour"}, "holds what is no weight; name one with numbers"),
        ({"label": "bought", "missing": "median"}, "missing is 'median'"),
        ({"label": "bought", "on_bad": "null"}, "on_bad is 'null'"),
        ({"label": "bought", "C": -1}, "C is -1"),
    ],
)
def test_what_cannot_be_fitted_is_said(tmp_path, options, told):
    drawn(1500).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=told):
        fit_files(tmp_path / "t.parquet", Fitting(**options))


def test_columns_that_are_no_features(tmp_path):
    frame = drawn(1500)
    frame["id"] = [f"row {i}" for i in range(1500)]
    frame["when"] = pandas.Timestamp("2026-01-01")
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="'when' is timestamp"):
        fit_files(tmp_path / "t.parquet", Fitting("bought"))
    frame.drop(columns="when").to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="'id' has more than 1,000 different words"):
        fit_files(tmp_path / "t.parquet", Fitting("bought"))
    one = fit_files(tmp_path / "t.parquet", Fitting("bought", features=("in*",)))
    assert one.model.features.names == ["income"]
    (tmp_path / "late.csv").write_text("x,y\n" + "1.5,a\n0.5,b\n" * 600_000 + "word,a\n")
    with pytest.raises(TableError, match=r"late.csv: column 'x' holds numbers first, and then"):
        fit_files(tmp_path / "late.csv", Fitting("y"))
    (tmp_path / "one.csv").write_text("x,y\n1,a\n2,a\n")
    with pytest.raises(TableError, match="all rows have the class 'a'"):
        fit_files(tmp_path / "one.csv", Fitting("y"))
    (tmp_path / "none.csv").write_text("x,y\n1,\n2,\n")
    with pytest.raises(TableError, match=r"no row to fit to \(2 rows without a class\)"):
        fit_files(tmp_path / "none.csv", Fitting("y"))


# ---- kept ----


@pytest.fixture
def model(tmp_path):
    drawn(1000).to_csv(tmp_path / "t.csv", index=False)
    found = fit_files(tmp_path / "t.csv", Fitting("bought", C="auto")).model
    found.save(tmp_path / "m.json")
    return found, tmp_path


def test_a_model_comes_back_to_the_same_bits(model):
    found, folder = model
    again = Model.load(folder / "m.json")
    assert again.to_json() == found.to_json()
    np.testing.assert_array_equal(again.coefficients, found.coefficients)
    assert again.features == found.features


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("intercept"), "lacks 'intercept'"),
        (lambda s: s.update(code="import os"), "holds an unknown 'code'"),
        (lambda s: s.update(version=2), "of version 2"),
        (lambda s: s.update(format="sigmax calibrator"), "does not say that its format is 'sigmax model'"),
        (lambda s: s["coefficients"][0].append(1.0), "coefficients of shapes"),
        (lambda s: s["coefficients"][0].__setitem__(0, "1"), "'coefficients' is wrong"),
        (lambda s: s["columns"][0].update(eval="x"), "'columns' is wrong"),
        (lambda s: s["columns"].append(s["columns"][0]), "two columns have the same name"),
        (lambda s: s.update(classes=["no", "no"]), "a model of the classes no, no"),
        (lambda s: s.update(about={"x": []}), "'about' is wrong"),
        (lambda s: s.update(calibrator="{}"), "'calibrator' is wrong"),
    ],
)
def test_a_changed_model_is_refused(model, change, told):
    _, folder = model
    state = json.loads((folder / "m.json").read_text())
    change(state)
    (folder / "c.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match=f"c.json: .*{told}"):
        Model.load(folder / "c.json")


# ---- the command ----


def test_the_command_fits_scores_and_explains(tmp_path):
    drawn(2000).to_csv(tmp_path / "train.csv", index=False)
    drawn(800, seed=9).to_csv(tmp_path / "new.csv", index=False)
    done = run("fit", "train.csv", "--label", "bought", "-o", "m.json", "--valid", "new.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for told in (
        "2: no (",
        "7, from 5 columns",
        "nats a row above the best, at most",
        "on 800 rows of new.csv",
        "colour=red",
    ):
        assert told in done.stdout
    found = Model.load(tmp_path / "m.json")
    done = run("score", "new.csv", "--model", "m.json", "--label", "bought", "-o", "p.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "features" in done.stdout
    done = run("explain", "--model", "m.json", "--row", "new.csv:7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = drawn(800, seed=9).iloc[6:7]
    z = float((encoded(row) @ found.coefficients[0] + found.intercept[0])[0])
    assert f"{z:+.4f}" in done.stdout
    assert f"{sigmax.sigmoid(z):.6g}" in done.stdout
    done = run("measure", "new.csv", "--model", "m.json", "--label", "bought", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing speaks against these probabilities" in done.stdout
    done = run("calibrate", "new.csv", "--model", "m.json", "--label", "bought", "-o", "c.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("score", "new.csv", "--model", "m.json", "--calibration", "c.json", "-o", "q.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("plot", "weights", "m.json", "-o", "w.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "colour=red" in (tmp_path / "w.svg").read_text()
    done = run("plot", "terms", "new.csv:7", "--model", "m.json", "-o", "t.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = (tmp_path / "t.svg").read_text()
    assert "new.csv, row 7" in picture
    assert f">{z:.4g}<".replace("-", "\u2212") in picture


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit", "--label", "y"], "name the files to fit to"),
        (["fit", "t.csv", "--label", "bought", "-o", "m.pkl"], "let its name end in .json"),
        (["fit", "t.csv", "--label", "bought", "-o", "no/m.json"], "there is no folder no"),
        (["fit", "t.csv", "--label", "bought", "--C", "strong"], "--C is 'strong'"),
        (["score", "t.csv", "--model", "none.json"], "none.json"),
        (["score", "t.csv", "--model", "m.json", "--columns", "age"], "leave columns away"),
        (["score", "other.csv", "--model", "m.json"], "there is no column 'income' (and 1 more)"),
        (["score", "words.csv", "--model", "m.json"], "column 'age' holds 'old'"),
        (["explain", "--model", "m.json"], "give a model and a row"),
        (["explain", "--model", "m.json", "--row", "t.csv:99999"], "there is no row 99,999"),
        (["explain", "--model", "m.json", "--row", "t.csv"], "as in new.csv:7"),
        (["explain", "2.0", "--model", "m.json", "--row", "t.csv:1"], "leave scores"),
        (["plot", "weights", "t.csv", "-o", "w.svg"], "t.csv"),
        (["plot", "terms", "t.csv:1", "-o", "w.svg"], "give a row and a model"),
        (["plot", "terms", "t.csv:0", "--model", "m.json", "-o", "w.svg"], "as in new.csv:7"),
    ],
)
def test_the_command_says_what_is_wrong(model, words, told):
    _, folder = model
    frame = drawn(50)
    frame.drop(columns=["income", "visits"]).to_csv(folder / "other.csv", index=False)
    frame.assign(age="old").to_csv(folder / "words.csv", index=False)
    done = run(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


# ---- elsewhere ----


def chain(tmp_path, classes, missing):
    frame = drawn(1500, classes=classes)
    if missing:
        frame.loc[::9, "age"] = np.nan
        frame.loc[::13, "colour"] = None
    frame.to_parquet(tmp_path / "t.parquet")
    found = fit_files(tmp_path / "t.parquet", Fitting("bought", missing="mean" if missing else "refuse")).model
    found.save(tmp_path / "m.json")
    return frame, found


def probabilities(tmp_path, frame, model):
    model.save(tmp_path / "now.json")
    frame.to_parquet(tmp_path / "now.parquet")
    score_file(tmp_path / "now.parquet", model=tmp_path / "now.json", output=tmp_path / "now.npy")
    return np.load(tmp_path / "now.npy")


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("calibrated", [False, True])
def test_the_chain_says_the_same_in_onnxruntime_and_duckdb(tmp_path, classes, missing, calibrated):
    runtime = pytest.importorskip("onnxruntime")
    duckdb = pytest.importorskip("duckdb")
    from sigmax.calibration import Calibrator

    frame, model = chain(tmp_path, classes, missing)
    if calibrated:
        encoded_rows = model.encode(pq.read_table(tmp_path / "t.parquet").combine_chunks().to_batches()[0])
        z = model.scores(encoded_rows.matrix)
        names = model.classes
        fitted = Calibrator(classes=names, scores="logits").fit(
            z[0] if classes == 2 else z.T, frame["bought"].to_numpy()
        )
        model = model.compose(calibrator=fitted)
    frame.loc[frame.index[:3], "colour"] = "violet"  # which it does not know
    want = probabilities(tmp_path, frame, model)
    assert np.isfinite(want).all()
    session = runtime.InferenceSession(model.to_onnx(tmp_path / "m.onnx").SerializeToString())
    inputs = {
        c: frame[[c]].to_numpy(np.float64) if c != "colour" else frame[[c]].fillna("").to_numpy(object)
        for c in ("age", "income", "colour", "member", "visits")
    }
    np.testing.assert_allclose(session.run(None, inputs)[0], want, rtol=1e-6, atol=1e-9)
    table = duckdb.sql(model.to_sql(f"'{tmp_path / 'now.parquet'}'")).df()
    got = table[[f"p_{c}" for c in model.classes]].to_numpy()
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    assert list(table.columns)[:6] == list(frame.columns)


@pytest.mark.parametrize("classes", [2, 3])
def test_pmml_holds_the_regression(tmp_path, classes):
    from xml.etree import ElementTree

    frame, model = chain(tmp_path, classes, missing=False)
    root = ElementTree.fromstring(model.to_pmml(tmp_path / "m.pmml"))
    space = {"p": "http://www.dmg.org/PMML-4_4"}
    tables = root.findall(".//p:RegressionTable", space)
    scores = {}
    for table in tables:
        z = np.full(len(frame), float(table.get("intercept")))
        for one in table.findall("p:NumericPredictor", space):
            z += float(one.get("coefficient")) * frame[one.get("name")].to_numpy(float)
        for one in table.findall("p:CategoricalPredictor", space):
            z += float(one.get("coefficient")) * (frame[one.get("name")] == one.get("value")).to_numpy(float)
        scores[table.get("targetCategory")] = z
    how = root.find("p:RegressionModel", space).get("normalizationMethod")
    z = np.column_stack([scores[c] for c in model.classes])
    p = (
        sigmax.softmax(z)
        if how == "softmax"
        else np.column_stack([1 - sigmax.sigmoid(z[:, 1]), sigmax.sigmoid(z[:, 1])])
    )
    assert how == ("softmax" if classes == 3 else "logit")
    np.testing.assert_allclose(p, probabilities(tmp_path, frame, model), rtol=1e-8)
    _, filled = chain(tmp_path, classes, missing=True)
    with pytest.raises(InputError, match="no indicator of a missing value"):
        filled.to_pmml()


def test_a_model_of_scikit_learn_comes_over(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    from sklearn.datasets import load_iris, load_wine
    from sklearn.multiclass import OneVsRestClassifier

    for load, pick in ((load_iris, slice(0, 100)), (load_wine, slice(None))):
        data = load(as_frame=True)
        x, y = data.data[pick], data.target[pick]
        theirs = linear.LogisticRegression(max_iter=5000).fit(x, y)
        model = Model.from_sklearn(theirs)
        assert model.features.names == list(x.columns)
        np.testing.assert_allclose(probabilities(tmp_path, x, model), theirs.predict_proba(x), rtol=1e-9)
        assert Model.from_json(model.to_json()).classes == [str(c) for c in theirs.classes_]
    with pytest.raises(TypeError, match="OneVsRestClassifier has no coef_"):
        Model.from_sklearn(OneVsRestClassifier(theirs).fit(x, y))


def test_one_file_from_features_to_decisions(tmp_path):
    from sigmax.decisions import Costs, decide

    frame, model = chain(tmp_path, 2, missing=False)
    costs = Costs([[0, 1, 0.3], [4, 0, 0.3]], ("no", "yes"), ("leave", "call", "write"))
    model.compose(costs=costs).save(tmp_path / "all.json")
    done = run("decide", "t.parquet", "--model", "all.json", "--label", "bought", "-o", "d.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    p = probabilities(tmp_path, frame, model)
    want = decide(p[:, 1], costs, form="probabilities").names.tolist()
    assert pq.read_table(tmp_path / "d.parquet")["decision"].to_pylist() == want
    with pytest.raises(ValueError, match="costs are those of other classes"):
        model.compose(costs=Costs([[0, 1], [1, 0]], ("a", "b")))


def test_the_command_keeps_the_whole_chain_in_one_file(tmp_path):
    from sigmax.decisions import PredictionSets

    frame, model = chain(tmp_path, 3, missing=False)
    model.save(tmp_path / "m.json")
    names = model.classes
    lines = [",".join([name, *("0" if name == n else "3" for n in names), "1"]) for name in names[::-1]]
    (tmp_path / "costs.csv").write_text("\n".join([",".join(["class", *names, "ask"]), *lines]) + "\n")
    frame.iloc[:700].to_parquet(tmp_path / "valid.parquet")
    frame.iloc[700:].to_parquet(tmp_path / "new.parquet")
    held = ["--label", "bought", "--coverage", "0.8", "--held-out", "valid.parquet"]
    done = run("calibrate", "valid.parquet", "--model", "m.json", "--label", "bought", "-o", "c.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    chained = ["--model", "m.json", "--calibration", "c.json", "--costs", "costs.csv", *held]
    done = run("decide", "new.parquet", *chained, "-o", "a.csv", "--keep", "whole.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Wrote whole.json" in done.stdout
    again = run("decide", "new.parquet", "--model", "whole.json", "--label", "bought", "-o", "b.csv", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert '"decision","expected_cost","margin","set"' in (tmp_path / "a.csv").read_text().partition("\n")[0]
    whole = Model.load(tmp_path / "whole.json")
    with pytest.raises(ValueError, match="fit them anew"):
        whole.compose(calibrator=whole.calibrator)
    for words, told in (
        (["--threshold", "0.5"], "are said where the decisions are made"),
        (["--costs", "costs.csv", "--temperature", "2"], "are said where the decisions are made"),
        (["--costs", "costs.csv", "--keep", "m.json"], "m.json is read by this command"),
        (["--costs", "costs.csv", "--keep", "new.parquet"], "end in .json"),
        (["--costs", "costs.csv", "--keep", "no/x.json"], "there is no folder no"),
        (["--costs", "costs.csv", "--calibration", "c.json", "--keep", "c.json"], "c.json is read by this command"),
    ):
        more = [] if "--keep" in words else ["--keep", "x.json"]
        done = run("decide", "new.parquet", "--model", "m.json", *words, *more, cwd=tmp_path)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    for more in (["--temperature", "2"], ["--calibration", "c.json"]):
        done = run("decide", "new.parquet", "--model", "whole.json", *more, cwd=tmp_path)
        assert (done.returncode, "fit them anew with --coverage" in done.stderr) == (2, True), done.stderr
    assert [str(c) for c in whole.sets.classes_] == names  # the sets know whose they are
    other = PredictionSets(0.5, classes=["x", "y", "z"]).fit(np.zeros((30, 3)), np.array(list("xyz") * 10))
    with pytest.raises(ValueError, match="the sets are those of other classes"):
        model.compose(sets=other)
    assert model.compose(sets=PredictionSets(0.5).fit(np.zeros((30, 3)), np.arange(30) % 3)).sets is not None
    (tmp_path / "s.csv").write_text("s_a,s_b\n1,2\n")
    done = run("decide", "s.csv", "--threshold", "0.5", "--keep", "x.json", cwd=tmp_path)
    assert "name the model with --model" in done.stderr
    assert not (tmp_path / "x.json").exists()


# ---- what a stranger found ----


def test_words_that_look_like_numbers_stay_words(tmp_path):
    rng = np.random.default_rng(0)
    k = rng.choice(["01", "1", "A1"], 300)
    y = np.where((k == "01") ^ (rng.random(300) < 0.1), "b", "a")
    (tmp_path / "all.csv").write_text("k,y\n" + "".join(f"{a},{b}\n" for a, b in zip(k, y, strict=True)))
    fit_files(tmp_path / "all.csv", Fitting("y")).model.save(tmp_path / "m.json")
    some = [(a, b) for a, b in zip(k, y, strict=True) if a != "A1"]  # of which a reader would make numbers
    (tmp_path / "some.csv").write_text("k,y\n" + "".join(f"{a},{b}\n" for a, b in some))
    summary = score_file(tmp_path / "some.csv", model=tmp_path / "m.json", label="y")
    assert summary.accuracy > 0.85
    assert not summary.warnings
    done = run("explain", "--model", "m.json", "--row", "some.csv:1", cwd=tmp_path)
    assert f"k={some[0][0]} " in done.stdout
    dates = [f"2026-01-{d:02d}" for d in rng.integers(1, 9, 200)]
    (tmp_path / "d.csv").write_text("k,y\nx,a\n" + "".join(f"{d},{'ab'[i % 2]}\n" for i, d in enumerate(dates)))
    fit_files(tmp_path / "d.csv", Fitting("y")).model.save(tmp_path / "d.json")
    (tmp_path / "e.csv").write_text("k,y\n" + "".join(f"{d},{'ab'[i % 2]}\n" for i, d in enumerate(dates)))
    assert score_file(tmp_path / "e.csv", model=tmp_path / "d.json").scored == 200


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([1, 2, 3, 4], [1.5, 2.5, 3.5, 4.5], None),
        ([True, False, True, False], [1, 0, 1, 0], None),
        (["a", "b", "a", "b"], [1, 2, 1, 2], None),
        ([1, 2, 3, 4], ["a", "b", "a", "b"], "column 'x' holds words, and numbers in the first file"),
        ([1, 2, 3, 4], list(pandas.date_range("2026-01-01", periods=4)), "neither numbers nor words"),
    ],
)
def test_files_may_differ_in_types(tmp_path, first, second, told):
    for name, values, labels in (("a", first, [0, 1, 1, 0]), ("b", second, [1.0, 0.0, 0.0, 1.0])):
        pandas.DataFrame(
            {"x": values * 10, "z": np.random.default_rng(0).normal(size=40), "y": labels * 10}
        ).to_parquet(tmp_path / f"{name}.parquet")
    if told is None:
        found = fit_files(tmp_path, Fitting("y"))
        assert (found.rows, found.model.classes) == (80, ["0", "1"])
    else:
        with pytest.raises(TableError, match=told):
            fit_files(tmp_path, Fitting("y"))


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("x,x,y\n1,2,a\n2,1,b\n", {}, "two columns are called 'x'"),
        ("x,y\n1,a\n2,b\n", {"weights": "y"}, "both the label and the weights"),
        ("x,w,y\n1,1,a\n2,1,b\n", {"weights": "w", "features": ("x", "w")}, "both a feature and the weights"),
        ("c,c=1,y\n1,1,a\nz,2,b\n", {}, "two features would be called 'c=1'"),
        ("x;y\n" + "".join(f"0,{i};{'ab'[i % 2]}\n" for i in range(100, 300)), {}, "such as '0,1"),
        (
            "i,y\n" + "".join(f"row-{i:03d}x,{'ab'[i % 2]}\n" for i in range(200)),
            {},
            "200 in 200 rows, such as 'row-000x'",
        ),
        ("x,y\n1,yes\n2,None\n", {}, r"\(1 rows without a class\)"),
        ("x,y\n", {}, "t.csv: there is no row to fit to"),
        ("x,Y\n1,a\n2,b\n", {"label": "y"}, "did you mean 'Y'"),
    ],
)
def test_what_a_table_cannot_be_is_said(tmp_path, text, options, told):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match=told):
        fit_files(tmp_path / "t.csv", Fitting(**{"label": "y", **options}))


def test_columns_are_left_out_by_name_and_row_names_doubted(tmp_path):
    frame = drawn(500)
    frame.insert(0, "customer_id", np.arange(10_000, 10_500))
    frame["home"] = np.where(np.arange(500) % 50 == 0, "NA", frame["colour"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match=r"missing in 'home' \(10 rows\)"):
        fit_files(tmp_path / "t.csv", Fitting("bought"))
    found = fit_files(tmp_path / "t.csv", Fitting("bought", without=("home",)))
    assert found.notes == [
        "'customer_id' has another whole number in every row: if it is a row's name, leave it out with --without customer_id"
    ]
    plain = fit_files(tmp_path / "t.csv", Fitting("bought", without=("home", "customer*")))
    assert plain.notes == []
    assert plain.model.features.names == NAMES
    done = run("fit", "t.csv", "--label", "bought", "--without", "home", "-o", "m.json", cwd=tmp_path)
    assert "if it is a row's name" in done.stderr
    done = run("measure", "t.csv", "--model", "m.json", "--label", "bought", "--by", "colour", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "By colour" in done.stdout
    done = run("calibrate", "t.csv", "--model", "m.json", "--label", "bought", "-o", "m.json", cwd=tmp_path)
    assert "m.json is read by this command" in done.stderr
