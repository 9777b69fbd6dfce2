"""
Files as people have them: none is answered wrongly in silence.

Each line of the table is a file, the options given with it, and what is right: the classes and the accuracy, or an error that says what
stands in the way and, where one is meant, the commands to choose from. Scores are drawn so that the largest is that of the label: a file
that is understood has an accuracy of 1.
"""

import gzip
import io
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sigmax
from sigmax.tables import AmbiguousError, Dialect, TableError, score, score_file

RNG = np.random.default_rng(13)
N = 24
X = RNG.normal(size=(N, 3)) * 2
Y = X.argmax(axis=1)
Z = RNG.normal(size=N) * 3  # logits of two classes
B = (Z >= 0).astype(int)
P = sigmax.softmax(X)
FEATURES = RNG.normal(size=(N, 2)).round(3)
ANIMALS = ["cat", "dog", "fox"]
SPECIES = [ANIMALS[k] for k in Y]
DAYS = pd.date_range("2026-01-01", periods=N).strftime("%Y-%m-%d")


@dataclass
class Right:
    """What a file gives: its classes and the share of rows that are right, if it has labels."""

    classes: list
    accuracy: float | None = 1.0
    said: str | None = None  # a part of a warning


@dataclass
class Stop:
    """What a file is refused for, and the readings that are offered."""

    why: str
    readings: list = field(default_factory=list)


def frame(names, *more, scores=X):
    """Return a table of scores with these names, and other columns, given as (name, values)."""
    made = pd.DataFrame(scores, columns=list(names))
    for name, values in more:
        made[name] = values
    return made


def csv(table, **options):
    return table.to_csv(index=options.pop("index", False), **options).encode()


def parquet(table, **options):
    out = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, **options), out)
    return out.getvalue()


def arrow(table):
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as sink:
        sink.write_table(table)
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def savetxt(array, **options):
    out = io.BytesIO()
    np.savetxt(out, array, **options)
    return out.getvalue()


def lines(*rows):
    return ("\n".join(rows) + "\n").encode()


def with_cell(table, row, column, word, **options):
    """Return the table as CSV with one cell replaced."""
    table = table.astype(object)
    table.iloc[row, table.columns.get_loc(column)] = word
    return csv(table, **options)


SCORES = ["score_0", "score_1", "score_2"]
NUMBERS = ["0", "1", "2"]
BY_NUMBER = frame(SCORES, ("label", Y))
BY_NAME = frame([f"logit_{a}" for a in ANIMALS], ("species", SPECIES))
LABEL = dict(label="label")
WORDS = dict(label="species")
GLOB = ["--columns", "score_*"]
LABELLED = ["--label", "label", "--columns", "score_*"]
DECIMAL = [",".join(f"{v:.4f}".replace(".", "@") for v in row).replace(",", ";").replace("@", ",") for row in X]

CASES = {
    # ---- labels, ids and other numbers beside the scores ----
    "a numeric label that was not named": ("a.csv", csv(BY_NUMBER), {}, Stop("'label' is numeric and not one of 'score_\\*'", [LABELLED])),
    "the same, named": ("a.csv", csv(BY_NUMBER), LABEL, Right(NUMBERS)),
    "a numeric target beside class names": (
        "a.csv", csv(frame(ANIMALS, ("target", Y))), {}, Stop("'target' does not look like a score", [["--label", "target", "--columns", *ANIMALS], ["--columns", *ANIMALS, "target"]])),
    "a target by another name": (
        "a.csv", csv(frame(["a", "b", "c"], ("kind", Y))), {}, Stop("'kind' does not look like a score")),
    "whole scores and a target": (
        "a.csv", csv(frame(["a", "b", "c"], ("kind", Y), scores=(X * 10).round())), {}, Stop("'kind' does not look like a score")),
    "an id": ("a.csv", csv(frame(SCORES, ("id", np.arange(N)), ("label", Y))), LABEL, Stop("'id' is numeric and not one of", [GLOB])),
    "an id, and the columns named": (
        "a.csv", csv(frame(SCORES, ("id", np.arange(N)), ("label", Y))), dict(LABEL, columns=["score_*"]), Right(NUMBERS)),
    "an id before scores without a common name": (
        "a.csv", csv(pd.concat([pd.Series(np.arange(N) * 7 + 3, name="customer"), frame(ANIMALS)], axis=1)), {},
        Stop("'customer' does not look like a score", [["--columns", *ANIMALS]])),
    "row numbers with a name": (
        "a.csv", csv(pd.concat([pd.Series(np.arange(1, N + 1), name="nth"), frame(ANIMALS)], axis=1)), {}, Stop("'nth' does not look like")),
    "a timestamp": ("a.csv", csv(frame(SCORES, ("timestamp", 1.7e9 + np.arange(N)))), {}, Stop("'timestamp' is numeric", [GLOB])),
    "a date": ("a.csv", csv(frame(SCORES, ("day", DAYS), ("label", Y))), LABEL, Right(NUMBERS)),
    "a fold": ("a.csv", csv(frame(SCORES, ("fold", np.arange(N) % 5), ("label", Y))), LABEL, Stop("'fold' is numeric", [GLOB])),
    "a weight": ("a.csv", csv(frame(SCORES, ("weight", RNG.random(N)), ("label", Y))), LABEL, Stop("'weight' is numeric", [GLOB])),
    "a weight beside scores without a common name": (
        "a.csv", csv(frame(ANIMALS, ("weight", RNG.random(N)))), {}, Stop("'weight' does not look like a score", [["--columns", *ANIMALS]])),
    "an age beside the label's classes": (
        "a.csv", csv(frame(ANIMALS, ("age", RNG.integers(20, 60, N)), ("species", SPECIES))), WORDS, Stop("'age' is numeric", [["--columns", *ANIMALS]])),
    "a real-valued feature beside the label's classes": (
        "a.csv", csv(frame(ANIMALS, ("height", FEATURES[:, 0]), ("species", SPECIES))), WORDS, Stop("'height' is numeric")),
    "features beside scores": (
        "a.csv", csv(frame(SCORES, ("x_0", FEATURES[:, 0]), ("x_1", FEATURES[:, 1]), ("label", Y))), LABEL,
        Stop("'score_\\*' and 'x_0', 'x_1' could both be scores", [GLOB, ["--columns", "x_0", "x_1"]])),
    "features called features": (
        "a.csv", csv(frame(SCORES, ("feature_0", FEATURES[:, 0]), ("feature_1", FEATURES[:, 1]))), {}, Stop("is numeric and not one of 'score_\\*'", [GLOB])),
    "the iris data, no scores at all": (
        "a.csv", csv(pd.DataFrame(np.hstack([X, FEATURES[:, :1]]), columns=["sepal_length", "sepal_width", "petal_length", "petal_width"]).assign(target=Y)),
        dict(label="target"), Stop("could both be scores")),
    "two models": (
        "a.csv", csv(frame([*SCORES, "logit_0", "logit_1", "logit_2"], ("label", Y), scores=np.hstack([X, -X]))), LABEL,
        Stop("'score_\\*' and 'logit_\\*' could both be scores", [GLOB, ["--columns", "logit_*"]])),
    "two models by letter": (
        "a.csv", csv(frame([f"model_{m}_score_{k}" for m in "ab" for k in range(3)], scores=np.hstack([X, -X]))), {},
        Stop("could both be scores", [["--columns", "model_a_score_*"], ["--columns", "model_b_score_*"]])),
    "two models with words": (
        "a.csv", csv(frame([f"{m}_{a}" for m in ("ours", "theirs") for a in ANIMALS], ("species", SPECIES), scores=np.hstack([X, -X]))), WORDS,
        Stop("could both be scores", [["--columns", "ours_*"], ["--columns", "theirs_*"]])),
    "the largest score beside the scores": (
        "a.csv", csv(frame(SCORES, ("score_max", X.max(1)), ("label", Y))), LABEL, Stop("'score_max' is numeric", [["--columns", "score_[0-9]*"]])),
    "probabilities beside the scores": (
        "a.csv", csv(frame([*SCORES, "prob_0", "prob_1", "prob_2"], ("label", Y), scores=np.hstack([X, P]))), LABEL, Stop("could both be scores")),
    "a prediction beside the scores": ("a.csv", csv(frame(SCORES, ("prediction", Y), ("label", Y))), LABEL, Stop("'prediction' is numeric", [GLOB])),
    "a confidence beside the scores": ("a.csv", csv(frame(SCORES, ("confidence", P.max(1)), ("label", Y))), LABEL, Stop("'confidence' is numeric", [GLOB])),
    "one column among others": (
        "a.csv", csv(pd.DataFrame({"name": [f"r{i}" for i in range(N)], "margin": Z, "label": B})), LABEL,
        Stop("'margin' is the only numeric column among 'name', 'margin'", [["--columns", "margin"]])),
    "one column and an id": (
        "a.csv", csv(pd.DataFrame({"id": range(N), "margin": Z, "label": B})), LABEL, Stop("'id' does not look like a score", [["--columns", "margin"], ["--columns", "id", "margin"]])),
    "one column alone": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": B})), LABEL, Right(["0", "1"])),
    "text columns beside scores that share no name": (
        "a.csv", csv(frame(ANIMALS, ("note", ["x"] * N))), {}, Stop("beside them stands 'note'", [["--columns", *ANIMALS]])),
    "a user's columns, which share a name and are no scores": (
        "a.csv", csv(pd.DataFrame({"user_id": np.arange(N) + 500, "user_age": RNG.integers(18, 80, N), "user_score": Z})), {}, Stop("'user_id' does not look like a score")),
    "a list and a number": (
        "a.parquet", parquet(pa.table({"weight": RNG.random(N), "scores": X.tolist()})), {}, Stop("'weight' is numeric and outside of the list 'scores'", [["--columns", "scores"]])),
    "two lists": ("a.parquet", parquet(pa.table({"a": X.tolist(), "b": X.tolist()})), {}, Stop("there are 2 lists", [["--columns", "a"], ["--columns", "b"]])),
    # ---- no scores but probabilities ----
    "probabilities": ("a.csv", csv(frame(SCORES, ("label", Y), scores=P)), LABEL, Stop("hold probabilities, no scores.*--as-scores")),
    "probabilities to two digits": ("a.csv", csv(frame(SCORES, ("label", Y), scores=P.round(2))), LABEL, Stop("hold probabilities, no scores")),
    "probabilities to one digit": ("a.csv", csv(frame(SCORES, ("label", Y), scores=P.round(1))), LABEL, Stop("hold probabilities, no scores")),
    "probabilities to two digits, cut off": ("a.csv", csv(frame(SCORES, ("label", Y), scores=np.floor(P * 100) / 100)), LABEL, Stop("hold probabilities, no scores")),
    "probabilities in float16": ("a.npy", npy(P.astype(np.float16)), {}, Stop("hold probabilities, no scores")),
    "many classes to two digits": ("a.npy", npy(sigmax.softmax(RNG.normal(size=(50, 40))).round(2)), {}, Stop("hold probabilities, no scores")),
    "percentages": ("a.csv", csv(frame(SCORES, ("label", Y), scores=(100 * P).round(1))), LABEL, Stop("hold percentages, no scores")),
    "whole percentages": ("a.csv", csv(frame(SCORES, ("label", Y), scores=(100 * P).round())), LABEL, Stop("hold percentages, no scores")),
    "a probability in one column": ("a.csv", csv(pd.DataFrame({"p": sigmax.sigmoid(Z), "label": B})), LABEL, Stop("hold probabilities, no scores")),
    "a probability of two digits in one column": ("a.csv", csv(pd.DataFrame({"p": sigmax.sigmoid(Z).round(2), "label": B})), LABEL, Stop("hold probabilities, no scores")),
    "a percentage in one column": ("a.csv", csv(pd.DataFrame({"p": (100 * sigmax.sigmoid(Z)).round(), "label": B})), LABEL, Stop("hold percentages, no scores")),
    "a prediction in one column": ("a.csv", csv(pd.DataFrame({"yes": B, "label": B})), LABEL, Stop("hold probabilities, no scores")),
    "log-probabilities": ("a.csv", csv(frame(SCORES, ("label", Y), scores=sigmax.log_softmax(X))), LABEL, Stop("hold log-probabilities, no scores")),
    "log-probabilities to two digits": ("a.csv", csv(frame(SCORES, ("label", Y), scores=sigmax.log_softmax(X).round(2))), LABEL, Stop("hold log-probabilities, no scores")),
    "probabilities of each label": ("a.csv", csv(frame(SCORES, scores=sigmax.sigmoid(X))), dict(kind="multilabel"), Stop("hold probabilities, no scores")),
    "a probability of each class by itself": ("a.csv", csv(frame(SCORES, ("label", Y), scores=sigmax.sigmoid(X))), LABEL, Right(NUMBERS, 1.0, "all scores lie in [0, 1]")),
    "small scores that are none": ("a.csv", csv(frame(SCORES, ("label", Y), scores=X / 10)), LABEL, Right(NUMBERS)),
    "sigmax's own results": ("a.csv", csv(frame(["p_0", "p_1", "p_2"], ("prediction", Y), ("confidence", P.max(1)), scores=P)), {}, Stop("(hold probabilities, no scores|has a column 'confidence' already)")),
    "sigmax's own results, their columns named": (
        "a.csv", csv(frame(["p_0", "p_1", "p_2"], ("prediction", Y), ("confidence", P.max(1)), scores=P)), dict(columns=["p_*"]), Stop("(hold probabilities, no scores|has a column 'confidence' already)")),
    # ---- which class a label means ----
    "labels by name": ("a.csv", csv(BY_NAME), WORDS, Right(ANIMALS)),
    "labels by name, columns in another order": ("a.csv", csv(BY_NAME[["logit_fox", "species", "logit_dog", "logit_cat"]]), WORDS, Right(["fox", "dog", "cat"])),
    "labels by number, columns in another order": ("a.csv", csv(BY_NUMBER[["score_2", "score_0", "score_1", "label"]]), LABEL, Right(["2", "0", "1"])),
    "columns from 1, labels from 0": (
        "a.csv", csv(frame(["score_1", "score_2", "score_3"], ("label", Y))), LABEL, Stop("the label 0 in row \\d+ of a.csv is none of the classes 1, 2, 3; say with --classes")),
    "columns from 1, labels from 0, and their names": (
        "a.csv", csv(frame(["score_1", "score_2", "score_3"], ("label", Y))), dict(LABEL, classes=NUMBERS), Right(NUMBERS)),
    "columns and labels from 1": ("a.csv", csv(frame(["score_1", "score_2", "score_3"], ("label", Y + 1))), LABEL, Right(["1", "2", "3"])),
    "numbered labels of named columns": ("a.csv", csv(frame(ANIMALS, ("label", Y))), LABEL, Stop("the label \\d in row 1 of a.csv is none of the classes cat, dog, fox")),
    "labels as fractions": ("a.csv", csv(frame(SCORES, ("label", Y.astype(float)))), LABEL, Right(NUMBERS)),
    "labels as words of numbers": ("a.parquet", parquet(frame(SCORES, ("label", Y.astype(str)))), LABEL, Right(NUMBERS)),
    "labels with zeros before": ("a.parquet", parquet(frame(SCORES, ("label", [f"{k:02d}" for k in Y]))), LABEL, Right(NUMBERS)),
    "labels True and False": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": B.astype(bool)})), LABEL, Right(["0", "1"])),
    "columns true and false": ("a.csv", csv(pd.DataFrame({"z_false": -Z, "z_true": Z, "label": B.astype(bool)})), LABEL, Right(["false", "true"])),
    "labels of -1 and 1": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": 2 * B - 1})), LABEL, Stop("the label (-1|1) in row \\d of a.csv is none of the classes 0, 1")),
    "labels of -1 and 1, named": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": 2 * B - 1})), dict(LABEL, classes=["-1", "1"]), Right(["-1", "1"])),
    "labels of 1 and 2": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": B + 1})), LABEL, Stop("the label 2 in row \\d+ of a.csv is none of the classes 0, 1")),
    "words for two classes": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": np.where(B, "yes", "no")})), LABEL, Stop("the label '(yes|no)' in row 1 of a.csv is none of the classes 0, 1")),
    "words for two classes, named": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": np.where(B, "yes", "no")})), dict(LABEL, classes=["no", "yes"]), Right(["no", "yes"])),
    "two classes named the wrong way round": (
        "a.csv", csv(pd.DataFrame({"margin": Z, "label": np.where(B, "yes", "no")})), dict(LABEL, classes=["yes", "no"]), Right(["yes", "no"], 0.0, "do the labels and the columns fit")),
    "numbers for two named classes": ("a.csv", csv(pd.DataFrame({"margin": Z, "label": B})), dict(LABEL, classes=["no", "yes"]), Right(["no", "yes"])),
    "a label in other letters": ("a.csv", csv(frame(ANIMALS, ("species", [s.title() for s in SPECIES]))), WORDS, Stop("the label '(Cat|Dog|Fox)' in row 1 of a.csv is none of the classes cat, dog, fox")),
    "a label with blanks around it": ("a.csv", csv(frame(ANIMALS, ("species", [f" {s} " for s in SPECIES]))), WORDS, Right(ANIMALS)),
    "a class that no column has": (
        "a.csv", csv(frame(["logit_cat", "logit_dog", "logit_owl"], ("species", SPECIES))), WORDS, Stop("the label 'fox' in row \\d+ of a.csv is none of the classes cat, dog, owl")),
    "a class that no label has": ("a.csv", csv(frame(SCORES, ("label", np.where(Y == 2, np.nan, Y)))), LABEL, Right(NUMBERS)),
    "labels that could be several classes": (
        "a.parquet", parquet(frame(["s_1", "s_01", "s_2"], ("label", (Y + 1).astype(float)))), LABEL, Stop("could be several of the classes")),
    "scores in the wrong order of an array": ("a.parquet", parquet(pa.table({"scores": X[:, ::-1].tolist(), "label": Y})), LABEL, Right(NUMBERS, (Y == 1).mean(), "do the labels and the columns fit")),
    "classes that labels call by the whole name": ("a.csv", csv(frame(SCORES, ("label", [SCORES[k] for k in Y]))), LABEL, Right(SCORES)),
    "codes with letters and digits": (
        "a.csv", csv(frame([f"logit_n0{k}44" for k in range(3)], ("label", [f"n0{k}44" for k in Y]))), LABEL, Right([f"n0{k}44" for k in range(3)])),
    "names that end alike": ("a.csv", csv(frame([f"{a}_score" for a in ANIMALS], ("species", SPECIES))), WORDS, Right(ANIMALS)),
    "labels on the command by a wrong name": ("a.csv", csv(BY_NUMBER), dict(label="lable"), Stop("did you mean 'label'")),
    # ---- what other programs write ----
    "pandas with its index": ("a.csv", csv(BY_NUMBER, index=True), LABEL, Right(NUMBERS)),
    "pandas after a split": ("a.csv", csv(BY_NUMBER.sample(frac=1, random_state=0), index=True), LABEL, Right(NUMBERS)),
    "pandas with numbers for names": ("a.csv", csv(pd.DataFrame(X)), {}, Right(NUMBERS, None)),
    "pandas with numbers for names and its index": ("a.csv", csv(pd.DataFrame(X).assign(label=Y), index=True), LABEL, Right(NUMBERS)),
    "pandas' index in Parquet": ("a.parquet", parquet(BY_NUMBER.sample(frac=1, random_state=0)), LABEL, Right(NUMBERS)),
    "an index read back and written again": ("a.csv", csv(pd.concat([pd.Series(range(N), name="Unnamed: 0"), BY_NUMBER], axis=1)), LABEL, Right(NUMBERS)),
    "R, write.csv": (
        "a.csv", lines('"","V1","V2","V3","class"', *(f'"{i + 1}",{a},{b},{c},{y + 1}' for i, ((a, b, c), y) in enumerate(zip(X.tolist(), Y, strict=True)))),
        dict(label="class"), Right(["1", "2", "3"])),
    "R, write.csv with names of rows": (
        "a.csv", lines('"","cat","dog","fox","species"', *(f'"row {i}",{a},{b},{c},"{s}"' for i, ((a, b, c), s) in enumerate(zip(X.tolist(), SPECIES, strict=True)))),
        WORDS, Right(ANIMALS)),
    "R, write.table": (
        "a.csv", lines('"V1" "V2" "V3"', *(f'"{i + 1}" {a} {b} {c}' for i, (a, b, c) in enumerate(X.tolist()))), {}, Stop("cannot be read as csv|no column is numeric|--delimiter")),
    "R's NA": ("a.csv", with_cell(BY_NUMBER, 3, "score_1", "NA"), LABEL, Right(NUMBERS)),
    "Excel, European": ("a.csv", lines("score_0;score_1;score_2;label", *(f"{r};{y}" for r, y in zip(DECIMAL, Y, strict=True))), LABEL, Stop("column 'score_0': '[-0-9,]+' is no number; if the comma is a decimal mark, say --decimal ,")),
    "Excel, European, and said": (
        "a.csv", lines("score_0;score_1;score_2;label", *(f"{r};{y}" for r, y in zip(DECIMAL, Y, strict=True))), dict(LABEL, dialect=Dialect(decimal=",")), Right(NUMBERS)),
    "Excel with sep=": (
        "a.csv", b"sep=;\r\n" + csv(BY_NUMBER, sep=";", lineterminator="\r\n"), LABEL, Right(NUMBERS)),
    "Excel, a byte order mark and CRLF": ("a.csv", b"\xef\xbb\xbf" + csv(BY_NUMBER, lineterminator="\r\n"), LABEL, Right(NUMBERS)),
    "Excel's Unicode text": ("a.csv", csv(BY_NUMBER, sep="\t").decode().encode("utf-16"), LABEL, Right(NUMBERS)),
    "semicolons": ("a.csv", csv(BY_NUMBER, sep=";"), LABEL, Right(NUMBERS)),
    "tabs": ("a.tsv", csv(BY_NUMBER, sep="\t"), LABEL, Right(NUMBERS)),
    "tabs in .csv.gz": ("a.csv.gz", gzip.compress(csv(BY_NUMBER, sep="\t")), LABEL, Right(NUMBERS)),
    "bars": ("a.csv", csv(BY_NUMBER, sep="|"), LABEL, Right(NUMBERS)),
    "another mark": ("a.csv", csv(BY_NUMBER, sep="~"), LABEL, Stop("there is no column 'label'")),
    "another mark, named": ("a.csv", csv(BY_NUMBER, sep="~"), dict(LABEL, dialect=Dialect(delimiter="~")), Right(NUMBERS)),
    "latin-1": ("a.csv", csv(frame(["écureuil", "dog", "fox"], ("species", ["écureuil" if k == 0 else ANIMALS[k] for k in Y]))).decode().encode("latin-1"), WORDS, Stop("--encoding latin-1")),
    "latin-1, named": (
        "a.csv", csv(frame(["écureuil", "dog", "fox"], ("species", ["écureuil" if k == 0 else ANIMALS[k] for k in Y]))).decode().encode("latin-1"),
        dict(WORDS, dialect=Dialect(encoding="latin-1")), Right(["écureuil", "dog", "fox"])),
    "scikit-learn's decision_function": ("a.csv", csv(frame(ANIMALS, ("y", SPECIES))), dict(label="y"), Right(ANIMALS)),
    "scikit-learn's predict_proba": ("a.csv", csv(frame(ANIMALS, ("y", SPECIES), scores=P)), dict(label="y"), Stop("hold probabilities, no scores")),
    "LightGBM's raw scores, tabs and no header": ("a.tsv", savetxt(X, delimiter="\t", fmt="%.6g"), {}, Stop("looks like a row.*--no-header")),
    "the same, and said": ("a.tsv", savetxt(X, delimiter="\t", fmt="%.6g"), dict(dialect=Dialect(header=False)), Right(NUMBERS, None)),
    "XGBoost's margins by savetxt": ("a.csv", savetxt(X), {}, Stop("looks like a row.*--no-header")),
    "the same, no header": ("a.csv", savetxt(X), dict(dialect=Dialect(header=False)), Right(NUMBERS, None)),
    "savetxt with a header": ("a.csv", savetxt(X, delimiter=",", header="score_0,score_1,score_2"), {}, Right(NUMBERS, None)),
    "torch's logits as .npy": ("a.npy", npy(X.astype(np.float32)), {}, Right(NUMBERS, None)),
    "a list column of Parquet": ("a.parquet", parquet(pa.table({"logits": X.tolist(), "label": Y})), LABEL, Right(NUMBERS)),
    # ---- a first line that is a row ----
    "no header": ("a.csv", savetxt(np.column_stack([X, Y]), delimiter=",", fmt="%.5g"), {}, Stop("looks like a row")),
    "no header, said, with a label": (
        "a.csv", savetxt(np.column_stack([X, Y]), delimiter=",", fmt="%.5g"), dict(label="column_4", dialect=Dialect(header=False)), Right(NUMBERS)),
    "no header, said, the label not": (
        "a.csv", savetxt(np.column_stack([X, Y]), delimiter=",", fmt="%.5g"), dict(dialect=Dialect(header=False)), Stop("'column_4' does not look like a score")),
    "no header, whole numbers from 1": ("a.csv", lines("1,2,3", "4,9,2", "7,1,4"), {}, Stop("looks like a row")),
    "no header, and words": ("a.csv", lines("r1,0.5,-1.5", "r2,2.5,0.25"), {}, Stop("looks like a row")),
    "a header of whole numbers, said": ("a.csv", lines("1,2,3", "4,9,2", "7,1,4"), dict(dialect=Dialect(header=True)), Right(["1", "2", "3"], None)),
    # ---- cells that are no numbers ----
    "a word": ("a.csv", with_cell(BY_NUMBER, 5, "score_1", "oops"), LABEL, Stop("a.csv, row 6, column 'score_1': 'oops' is no number; mend it, or leave such rows empty with --on-bad null")),
    "a word, left empty": ("a.csv", with_cell(BY_NUMBER, 5, "score_1", "oops"), dict(LABEL, on_bad="null"), Right(NUMBERS)),
    "a currency sign": ("a.csv", with_cell(BY_NUMBER, 0, "score_2", "$1.50"), LABEL, Stop("row 1, column 'score_2': '\\$1.50' is no number")),
    "a percent sign": ("a.csv", with_cell(BY_NUMBER, 7, "score_0", "12%"), LABEL, Stop("row 8, column 'score_0': '12%' is no number; percentages are no scores")),
    "percent signs all the way": ("a.csv", csv(BY_NUMBER.assign(score_1=[f"{v:.1f}%" for v in X[:, 1]])), LABEL, Stop("row 1, column 'score_1'")),
    "thousands": ("a.csv", csv(BY_NUMBER.assign(score_1=[f"{v * 4000:,.2f}" for v in X[:, 1]])), LABEL, Stop("column 'score_1': '.*' is no number; if it groups thousands, say --thousands ,")),
    "thousands, said": (
        "a.csv", csv(frame(SCORES, ("label", Y), scores=X * 4000).assign(**{s: [f"{v * 4000:,.2f}" for v in X[:, k]] for k, s in enumerate(SCORES)})),
        dict(LABEL, dialect=Dialect(thousands=",")), Right(NUMBERS)),
    "a decimal comma among points": ("a.csv", with_cell(BY_NUMBER, 2, "score_1", "1,5"), LABEL, Stop("row 3, column 'score_1': '1,5' is no number; if the comma is a decimal mark")),
    "a question mark": ("a.csv", with_cell(BY_NUMBER, 2, "score_1", "?"), LABEL, Stop("row 3, column 'score_1'")),
    "a word where the names say nothing": ("a.csv", with_cell(frame(ANIMALS), 4, "dog", "n.a."), {}, Stop("row 5, column 'dog': 'n.a.' is no number")),
    "a column of true and false among the scores": ("a.parquet", parquet(frame([*SCORES[:2]], ("score_2", B.astype(bool)), scores=X[:, :2])), {}, Stop("'score_2' is bool")),
    "an empty column among the scores": ("a.csv", csv(BY_NUMBER.assign(score_1=None)), LABEL, Stop("'score_1' is empty")),
    "a column twice": ("a.csv", lines("score_0,score_0,label", "1.5,2.5,0"), LABEL, Stop("two columns are called 'score_0'")),
    "a row with a field more": ("a.csv", lines("score_0,score_1", "1.5,2.5", "1,5,2,5"), {}, Stop("--delimiter")),
    "no numbers at all": ("a.csv", lines("a,b", "x,y", "z,w"), {}, Stop("no column is numeric among 'a', 'b'")),
    # ---- what a stranger found ----
    "a sentinel row among probabilities": ("a.csv", csv(frame(SCORES, scores=np.vstack([P, [[-1.0] * 3]]))), {}, Stop("hold probabilities, no scores")),
    "a wrong cell among probabilities": ("a.csv", with_cell(frame(SCORES, ("label", Y), scores=P), 3, "score_1", 5.0), LABEL, Stop("hold probabilities, no scores")),
    "percentages and rows of zeros": ("a.csv", csv(frame(SCORES, scores=np.vstack([100 * P, np.zeros((4, 3))]))), {}, Stop("hold percentages, no scores")),
    "votes of 500 trees": ("a.csv", csv(frame(SCORES, ("label", Y), scores=np.floor(P * 500) + np.eye(3)[0] * (500 - np.floor(P * 500).sum(1))[:, None])), LABEL, Stop("hold shares of 500, no scores")),
    "log10 of probabilities": ("a.csv", csv(frame(SCORES, ("label", Y), scores=np.log10(P))), LABEL, Stop("hold log-probabilities to base 10, no scores")),
    "class numbers as scores": ("a.npy", npy(Y), {}, Stop("hold class numbers, no scores")),
    "one percentage": ("a.csv", lines("p", "85.3"), {}, Stop("hold percentages, no scores")),
    "small percentages in one column": ("a.csv", csv(pd.DataFrame({"p": (15 * sigmax.sigmoid(Z)).round(1), "label": B})), LABEL, Right(["0", "1"], B.mean(), "no better than always saying")),
    "the classes in another order than the columns": (
        "a.csv", csv(frame(SCORES, ("label", Y))), dict(LABEL, classes=["1", "0", "2"]), Stop("calls the column 'score_0' the class '1', which is the name of another column")),
    "columns in the order of text, and classes named in that of numbers": (
        "a.csv", csv(frame(["score_1", "score_10", "score_2"], ("label", SPECIES))), dict(LABEL, classes=ANIMALS), Right(ANIMALS, 1.0, "do not ascend")),
    "a class whose cells are mostly words": (
        "a.csv", csv(frame(["logit_cat", "logit_dog"], ("logit_fox", ["-"] * (N - 1) + ["4.5"]), scores=X[:, :2])), {},
        Stop("'logit_fox' is string, not numeric, and is named like the scores", [["--columns", "logit_cat", "logit_dog"]])),
    "a class of true and false": (
        "a.parquet", parquet(frame(["logit_cat", "logit_dog"], ("logit_fox", B.astype(bool)), scores=X[:, :2])), {}, Stop("'logit_fox' is bool, not numeric")),
    "a dictionary of numbers": (
        "a.arrow", arrow(pa.table({"logit_cat": X[:, 0], "logit_dog": X[:, 1], "logit_fox": pa.array(X[:, 2].round()).dictionary_encode()})), {},
        Stop("'logit_fox' is dictionary<.*, not numeric")),
    "a statistic by its name": (
        "a.csv", csv(BY_NAME.assign(logit_max=X.max(1))), WORDS, Stop("'logit_max' is numeric", [["--columns", "logit_cat", "logit_dog", "logit_fox"], ["--columns", "logit_*"]])),
    "a statistic by its values": ("a.csv", csv(frame([f"logit_{a}" for a in ANIMALS], ("logit_all", X.sum(1)))), {}, Stop("'logit_all' is numeric")),
    "a threshold": ("a.csv", csv(BY_NAME.assign(logit_threshold=0.5)), WORDS, Stop("'logit_threshold' is numeric")),
    "a class by another script": ("a.csv", csv(frame(["кошка", "корова", "кот"], ("вид", [["кошка", "корова", "кот"][k] for k in Y]))), dict(label="вид"), Right(["кошка", "корова", "кот"])),
    "umlauts": ("a.csv", csv(frame(["score_Öl", "score_Österreich", "score_Ö"]), ), {}, Right(["Öl", "Österreich", "Ö"], None)),
    "umlauts before a common ending": ("a.csv", csv(frame(["kissä_score", "hauvä_score", "kettä_score"])), {}, Right(["kissä", "hauvä", "kettä"], None)),
    "classes that are fractions": ("a.csv", csv(frame(["score_0.5", "score_1.0", "score_1.5"], ("label", [0.5 * k + 0.5 for k in Y]))), LABEL, Right(["0.5", "1.0", "1.5"])),
    "classes below zero": ("a.csv", csv(frame(["score_-1", "score_0", "score_1"], ("label", Y - 1))), LABEL, Right(["-1", "0", "1"])),
    "one label value beside a feature": (
        "a.csv", csv(frame(ANIMALS, ("height", FEATURES[:, 0]), ("species", ["cat"] * N))), WORDS, Stop("is numeric and not one of 'cat'", [["--columns", *ANIMALS, "height"]])),
    "labels that name some of the columns": (
        "a.csv", csv(frame(ANIMALS, ("species", ["cat" if k == 0 else "dog" for k in Y]))), WORDS, Stop("'fox' is numeric", [["--columns", *ANIMALS], ["--columns", "cat", "dog"]])),
    "labels of more digits than a float has": (
        "a.parquet", parquet(frame(["s_9007199254740993", "s_9007199254740992", "s_7"], ("label", np.float64(Y + 2.0**53)))), LABEL, Stop("is none of the classes")),
    "classes of twenty digits": ("a.csv", csv(frame(["s_10000000000000000000", "s_10000000000000000001", "s_10000000000000000002"])), {}, Right([f"1000000000000000000{k}" for k in range(3)], None)),
    "categories of Polars": ("a.parquet", parquet(pa.table({**{f"logit_{a}": X[:, k] for k, a in enumerate(ANIMALS)}, "species": pa.DictionaryArray.from_arrays(pa.array(Y, pa.uint32()), ANIMALS)})), WORDS, Right(ANIMALS)),
    "a number twice in a first line that is a row": ("a.csv", lines("0,0,1.25", "1.5,0.25,-2.5"), {}, Stop("looks like a row")),
    "an empty array": ("a.npy", b"", {}, Stop("cannot be read as npy")),
    "labels that are lists": ("a.parquet", parquet(pa.table({**{f"logit_{a}": X[:, k] for k, a in enumerate(ANIMALS)}, "tags": [["cat"]] * N})), dict(label="tags"), Stop("holds lists: say --kind multilabel")),
    "a title above the header": ("a.csv", lines("Scores of March", "score_0,score_1", "1.5,2.5"), {}, Stop("cannot be read as csv")),
    "remarks above the header": ("a.csv", b"# model: x, run 3, v2, 7\n# more\n" + csv(BY_NUMBER), LABEL, Right(NUMBERS)),
    "a column called #": ("a.csv", csv(BY_NUMBER.assign(**{"#": range(N)})[["#", *SCORES, "label"]]), dict(LABEL, columns=["score_*"]), Right(NUMBERS)),
    "blanks after the commas of the header": ("a.csv", csv(BY_NUMBER).replace(b"score_1,score_2,label", b" score_1, score_2, label"), LABEL, Right(NUMBERS)),
    "line ends within quotes": ("a.csv", csv(BY_NUMBER.assign(note=["two\nlines, \"quoted\""] * N)), LABEL, Right(NUMBERS)),
    "one column with decimal commas": ("a.csv", lines("margin", *(f"{z:.3f}".replace(".", ",") for z in Z)), dict(dialect=Dialect(decimal=",")), Right(["0", "1"], None)),
    "a workbook": ("a.csv", b"PK\x03\x04 and so on", {}, Stop("is no CSV file but a workbook")),
    "gzip without its ending": ("a.csv", gzip.compress(csv(BY_NUMBER)), LABEL, Stop("name it .csv.gz")),
    "a gzip that is cut": ("a.csv.gz", gzip.compress(csv(BY_NUMBER))[:-40], LABEL, Stop("a.csv.gz cannot be read as csv")),
    "UTF-16 without its mark": ("a.csv", csv(BY_NUMBER).decode().encode("utf-16-le"), LABEL, Stop("holds zero bytes; .*--encoding utf-16-le")),
    "columns with commas between them": ("a.csv", csv(BY_NUMBER.assign(age=range(N))), dict(LABEL, columns=["score_0,score_1,score_2"]), Right(NUMBERS)),
    "columns as one word of Python": ("a.csv", csv(BY_NUMBER.assign(age=range(N))), dict(LABEL, columns="score_*"), Right(NUMBERS)),
    "a small file of whole numbers": ("a.csv", lines("cat,dog,fox", "2.0,1.0,0.1", "0.5,3.0,1.2", "1.1,2.0,4.0"), {}, Right(ANIMALS, None)),
    "labels as the columns call them": ("a.csv", csv(frame([f"score_class_{k}" for k in range(3)], ("label", [f"class_{k}" for k in Y]))), LABEL, Right([f"class_{k}" for k in range(3)])),
    "labels of two words": ("a.csv", csv(frame([f"logit_very {a}" for a in ("good", "bad", "odd")], ("label", [["very good", "very bad", "very odd"][k] for k in Y]))), LABEL, Right(["very good", "very bad", "very odd"])),
    "missing labels as R and pandas write them": ("a.csv", csv(BY_NAME.assign(species=[*SPECIES[:-3], "NA", "nan", "None"])), WORDS, Right(ANIMALS)),
    "an index with repeats": ("a.csv", csv(pd.concat([BY_NUMBER[:12], BY_NUMBER[:12]]), index=True), LABEL, Right(NUMBERS)),
    "two empty columns at the end": ("a.csv", b"\n".join(line + b";;" for line in csv(BY_NUMBER, sep=";").splitlines()), LABEL, Right(NUMBERS)),
    "addresses beside the scores": ("a.csv", csv(BY_NUMBER.assign(host="192.168.0.1", version="1.2.3")), LABEL, Right(NUMBERS)),
    "ids of text beside the scores": ("a.parquet", parquet(BY_NUMBER.assign(id=[f"{i:05d}" for i in range(N)])), LABEL, Right(NUMBERS)),
    "embeddings beside the scores": ("a.csv", csv(BY_NUMBER.assign(emb_0=FEATURES[:, 0], emb_1=FEATURES[:, 1])), LABEL, Stop("is numeric and not one of 'score_\\*'", [GLOB])),
    "a guess at the label": ("a.csv", csv(BY_NUMBER.rename(columns={"label": "gold"}).assign(pred=Y)), {}, Stop("is numeric", [["--label", "gold", "--columns", "score_*"]])),
}  # fmt: skip


def test_the_table_is_long_enough():
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_no_file_is_answered_wrongly_in_silence(tmp_path, name):
    file, content, options, wanted = CASES[name]
    path = tmp_path / file
    path.write_bytes(content)
    if isinstance(wanted, Stop):
        with pytest.raises(TableError, match=wanted.why) as caught:
            score_file(path, output=tmp_path / "out.csv", **options)
        assert not (tmp_path / "out.csv").exists()
        if wanted.readings:
            assert isinstance(caught.value, AmbiguousError)
            assert [r.options for r in caught.value.readings][: len(wanted.readings)] == wanted.readings
        return
    summary = score_file(path, **options)
    assert summary.plan.classes == wanted.classes
    assert summary.rows in (N, 2, 3)
    assert {*summary.plan.columns, *(n for n, _ in summary.plan.left_out), summary.plan.label} - {None} == {
        f for f in summary.head[0] if not f.startswith(("p_", "prediction", "confidence"))
    } | set(summary.plan.columns)
    if wanted.accuracy is not None:
        assert summary.accuracy == wanted.accuracy
    assert (wanted.said is None) == (not summary.warnings)
    if wanted.said is not None:
        assert wanted.said in summary.warnings[0]


def test_other_columns_are_kept_as_they_are_written(tmp_path):
    """An id of twenty digits, leading zeros, signs and times come out as they went in; plain numbers are numbers where there are types."""
    written = {
        "sku": ["00123", "00007"],
        "id": ["12345678901234567891", "12345678901234567892"],
        "hex": ["0x1F", "12E4"],
        "phone": ["+15551234", "+15551235"],
        "price": ["1.50", "2.00"],
        "at": ["2026-01-01T00:30:00+02:00", "2026-01-01 01:00"],
        "none": ["NA", "NA"],
        "yes": ["True", "False"],
        "count": ["7", ""],
        "share": ["0.25", "12.5"],
        "label": ["01", "00"],
    }
    table = pd.DataFrame({**written, "score_0": ["1.5", "-2.25"], "score_1": ["0.25", "3"]})
    table.to_csv(tmp_path / "a.csv", index=False)
    options = dict(columns=["score_*"], label="label")
    assert score_file(tmp_path / "a.csv", output=tmp_path / "b.csv", **options).accuracy == 0.0
    got = pd.read_csv(tmp_path / "b.csv", dtype=str, keep_default_na=False)
    assert {name: got[name].tolist() for name in written} == written
    score_file(tmp_path / "a.csv", output=tmp_path / "b.parquet", **options)
    typed = pq.read_table(tmp_path / "b.parquet")
    assert typed["count"].to_pylist() == [7, None]
    assert typed["share"].to_pylist() == [0.25, 12.5]
    for name in ("sku", "id", "hex", "phone", "price", "at", "none", "yes", "label"):
        assert typed[name].to_pylist() == written[name], name
    # plain numbers at first, and later none: text from the beginning
    rows = ["7,1.5,2.5"] * 700_000
    rows[-1] = "007,1.5,2.5"
    (tmp_path / "c.csv").write_text("\n".join(["n,score_0,score_1", *rows]) + "\n")
    score_file(tmp_path / "c.csv", columns=["score_*"], output=tmp_path / "c.parquet")
    assert pq.read_table(tmp_path / "c.parquet")["n"].to_pylist()[-2:] == ["7", "007"]


def test_probabilities_are_noticed_in_later_rows_too(tmp_path, monkeypatch):
    from sigmax.tables import sources

    monkeypatch.setattr(sources, "BATCH_ROWS", 50)
    monkeypatch.setattr(sources, "BATCH_BYTES", 1)
    x = RNG.normal(size=(3000, 3)) * 3
    for values in (np.vstack([x, sigmax.softmax(x)]), np.vstack([np.full((3000, 3), np.nan), sigmax.softmax(x)])):
        pq.write_table(pa.table({s: values[:, k] for k, s in enumerate(SCORES)}), tmp_path / "a.parquet")
        with pytest.raises(TableError, match="a.parquet: the columns hold probabilities, no scores, .* from row [23],"):
            score_file(tmp_path / "a.parquet", output=tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()
    lists = pa.table({"s": [*x[:2].tolist()]})
    empty = lists.slice(0, 0).to_batches() or [pa.record_batch({"s": pa.array([], pa.list_(pa.float64()))})]
    batches = pa.RecordBatchReader.from_batches(lists.schema, [*empty, *lists.to_batches()])
    assert sum(b.num_rows for b in score(batches)) == 2


def test_what_users_write_is_no_markup(tmp_path):
    (tmp_path / "s.csv").write_text(
        "text,logit[red],logit[/x]\n[INST] hi [/INST] :cat: \x1b[31m,1.5,0.5\n12:100:30,0.5,2.5\n"
    )
    command = [sys.executable, "-m", "sigmax", "score", "s.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "COLUMNS": "160"})
    assert done.returncode == 0, done.stderr
    for word in ("[INST] hi [/INST] :cat: \\x1b[31m", "12:100:30", "logit[red], logit[/x]"):
        assert word in done.stdout
    assert "\x1b[31m" not in done.stdout


def test_a_dash_may_be_a_column(tmp_path):
    (tmp_path / "s.csv").write_text("-,+,id\n1.5,0.5,1\n0.5,2.5,2\n")
    command = [sys.executable, "-m", "sigmax", "score", "s.csv", "--columns", "-", "+", "--classes", "-", "+"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "2 by softmax: -, +" in done.stdout, done.stderr


@pytest.mark.parametrize("names", [[f"score_{i}" for i in range(4000)], [f"gene_{i:x}q_x" for i in range(4000)]])
def test_many_columns_take_seconds(tmp_path, names):
    table = pd.DataFrame(RNG.normal(size=(8, 4000)).round(3), columns=names).assign(id=range(8))
    table.to_csv(tmp_path / "a.csv", index=False)
    begin = time.perf_counter()
    with pytest.raises(AmbiguousError, match="'id' is numeric"):
        score_file(tmp_path / "a.csv")
    score_file(tmp_path / "a.csv", columns=[names[0][:5] + "*"], output=tmp_path / "b.csv")
    assert time.perf_counter() - begin < 15


@pytest.mark.parametrize("word", ["oops", "$1.50", "12%", "1,234.5", "1,5"])
@pytest.mark.parametrize("names", [SCORES, ANIMALS])
def test_a_word_far_down_takes_no_class_away(tmp_path, names, word):
    """Past the first four megabytes, by which the types of columns are found."""
    rows = 100_000
    body = [
        f"{a!r},{b!r},{c!r},{names[k].removeprefix('score_')}"
        for (a, b, c), k in zip((X * 1.01).tolist(), Y, strict=True)
    ]
    written = body * (rows // N)
    written[-2] = f'1.5,"{word}",2.5,{names[0].removeprefix("score_")}'
    path = tmp_path / "s.csv"
    path.write_bytes(lines(",".join([*names, "label"]), *written))
    assert path.stat().st_size > 5_000_000
    with pytest.raises(TableError, match=f"s.csv, row {len(written) - 1}, column '{names[1]}': '.*' is no number"):
        score_file(path, label="label")
    summary = score_file(path, label="label", on_bad="drop")
    assert (summary.accuracy, summary.scored, len(summary.plan.classes)) == (1.0, len(written) - 1, 3)


@pytest.mark.parametrize("kind", [None, "multilabel"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_temperature_costs_no_digits(tmp_path, kind, dtype):
    from reference import Row, ulps

    z = np.concatenate([RNG.normal(size=200) * 4, np.linspace(-8.6, 8.6, 50)]).astype(dtype)
    for temperature in (0.1, 3.0):
        pq.write_table(pa.table({"z": z}), tmp_path / "z.parquet")
        score_file(tmp_path / "z.parquet", kind=kind, temperature=temperature, output=tmp_path / "p.parquet")
        got = pq.read_table(tmp_path / "p.parquet")
        p = got["p_1" if kind is None else "p_z"].to_numpy()
        assert p.dtype == dtype
        for x, value in zip(z.tolist(), p, strict=True):
            assert ulps(value, Row([0.0, x], temperature).softmax(1), dtype) <= 1.5, (x, temperature)
    for temperature, wanted in ((0.0, [0, 0.5, 1]), (np.inf, [0.5, 0.5, 0.5])):
        pq.write_table(pa.table({"z": np.array([-2.0, 0.0, 3.0], dtype)}), tmp_path / "z.parquet")
        score_file(tmp_path / "z.parquet", kind=kind, temperature=temperature, output=tmp_path / "p.parquet")
        got = pq.read_table(tmp_path / "p.parquet")
        assert got["p_1" if kind is None else "p_z"].to_pylist() == wanted
