"""
How often the interval of the calibration error holds the truth, and the test is right: ``python -m benchmarks coverage``.

Draws rows from models whose true error is known, beside the percentile bootstrap of the plug-in error, and writes the tables of
docs/calibration.md; with fewer draws than the full number it only prints.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from benchmarks.marks import put
from sigmax.calibration import Reliability, calibration_error, measure, reliability

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["main"]

PAGE = Path(__file__).parent.parent / "docs" / "calibration.md"
DRAWS = 1000
CLASSES, SCALE = 10, 2.5


def draw(
    rng: np.random.Generator, rows: int, temperature: float = 1.0, classes: int = CLASSES, scale: float = SCALE
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return confidence and outcomes of a model that divides its scores by a temperature; 1 is calibrated."""
    x = rng.normal(size=(rows, classes)) * scale
    y = (rng.random((rows, 1)) > np.cumsum(sigmax.softmax(x), axis=1)).sum(axis=1).clip(0, classes - 1)
    p = sigmax.softmax(x, temperature=temperature)
    return p.max(axis=1), p.argmax(axis=1) == y


def true_error(rng: np.random.Generator, temperature: float, rows: int = 1_000_000) -> float:
    """Return the root mean squared distance of confidence from the chance of being right, given the confidence."""
    if temperature == 1:
        return 0.0
    x = rng.normal(size=(rows, CLASSES)) * SCALE
    p, q = sigmax.softmax(x, temperature=temperature), sigmax.softmax(x)
    confidence, chance = p.max(axis=1), q[np.arange(rows), p.argmax(axis=1)]
    order = np.argsort(confidence)
    gaps = [confidence[part].mean() - chance[part].mean() for part in np.array_split(order, 2000)]
    return float(np.sqrt(np.mean(np.square(gaps))))


def bootstrap_excludes_zero(rng: np.random.Generator, found: Reliability, times: int = 200) -> bool:
    """Return whether the percentile interval of the plug-in error, over redrawn rows and outcomes, lies above 0."""
    filled = found.rows > 0
    n = int(found.rows.sum())
    rows = rng.multinomial(n, found.rows[filled] / n, times)
    hits = rng.binomial(rows, found.accuracy[filled])
    errors = np.abs(hits - found.confidence[filled] * rows).sum(axis=1) / n
    return bool(np.quantile(errors, 0.025) > 0)


def table(draws: int) -> str:
    """Return a line for each setting."""
    names = (
        *("rows", "temperature", "true error", "interval holds it", "error found", "mean of its upper end"),
        *("plug-in error, mean", "by chance alone", "bootstrap of the plug-in excludes 0"),
    )
    lines = [f"| {' | '.join(names)} |", "|" + "---:|" * len(names)]
    rng = np.random.default_rng(0)
    for temperature in (1.0, 1.25, 0.8):
        truth = true_error(rng, temperature)
        for rows in (200, 1000, 5000):
            seen = [draw(rng, rows, temperature) for _ in range(draws)]
            errors = [calibration_error(*s) for s in seen]
            plug_in = [reliability(*s) for s in seen]
            holds = np.mean([e.low <= truth <= e.high for e in errors])
            cells = [
                f"{rows:,}",
                f"{temperature:g}",
                f"{truth:.4f}",
                f"{100 * holds:.1f} %",
                f"{100 * np.mean([e.is_found for e in errors]):.1f} %",
                f"{np.mean([e.high for e in errors]):.4f}",
                f"{np.mean([r.error for r in plug_in]):.4f}",
                f"{np.mean([r.error_by_chance for r in plug_in]):.4f}",
                f"{100 * np.mean([bootstrap_excludes_zero(rng, r) for r in plug_in]):.1f} %",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# ---- of every kind ----

SIZES = (200, 1000, 5000)


def two(rng: np.random.Generator, rows: int, bend: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return probabilities of the second of two classes, and labels drawn by their logits, bent."""
    z = 2 * rng.normal(size=rows)
    return sigmax.sigmoid(z), (rng.random(rows) < sigmax.sigmoid(bend(z))).astype(int)


def many(rng: np.random.Generator, rows: int, slope: float, classes: int = 5) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return probabilities of many classes, and labels drawn by their scores times a slope."""
    x = 2 * rng.normal(size=(rows, classes))
    y = (rng.random((rows, 1)) > np.cumsum(sigmax.softmax(slope * x), axis=1)).sum(axis=1).clip(0, classes - 1)
    return sigmax.softmax(x), y


def kinds(draws: int) -> str:
    """Return how often the interval holds the error of each kind."""
    lines = [
        "| error | slope of the scores | true error | " + " | ".join(f"{n:,} rows" for n in SIZES) + " |",
        "|---|" + "---:|" * 5,
    ]
    for slope in (1.0, 0.8):
        rng = np.random.default_rng(1)
        z = 2 * rng.normal(size=1_000_000)
        truth = float(np.sqrt(np.mean((sigmax.sigmoid(z) - sigmax.sigmoid(slope * z)) ** 2)))
        for name, weighted in (("two classes", False), ("two classes, weighted", True)):
            held = []
            for rows in SIZES:
                errors = []
                for _ in range(draws):
                    p, y = two(rng, rows, functools.partial(np.multiply, slope))
                    errors.append(measure(p, y, rng.exponential(size=rows) if weighted else None).error())
                held.append(np.mean([e.low <= truth <= e.high for e in errors]))
            lines.append(f"| {name} | {slope:g} | {truth:.4f} | {' | '.join(f'{100 * h:.1f} %' for h in held)} |")
        x = 2 * rng.normal(size=(1_000_000, 5))
        p, q = sigmax.softmax(x)[:, 0], sigmax.softmax(slope * x)[:, 0]
        order = np.argsort(p)
        truth = float(
            np.sqrt(np.mean([(p[part].mean() - q[part].mean()) ** 2 for part in np.array_split(order, 2000)]))
        )
        held = []
        for rows in SIZES:
            errors = [measure(*many(rng, rows, slope)).error(0) for _ in range(draws)]
            held.append(np.mean([e.low <= truth <= e.high for e in errors]))
        lines.append(
            f"| one class of five | {slope:g} | {truth:.4f} | {' | '.join(f'{100 * h:.1f} %' for h in held)} |"
        )
    return "\n".join(lines)


BENT = {
    "calibrated": lambda z: z,
    "too sure: slope 0.8": lambda z: 0.8 * z,
    "shifted by 0.2": lambda z: z + 0.2,
    "bent: 0.1 (z\u00b2 \u2212 4)": lambda z: z + 0.1 * (z * z - 4),
    "wiggling: 0.5 sin 4z": lambda z: z + 0.5 * np.sin(4 * z),
}


def tests(draws: int) -> str:
    """Return how often the test rejects at a level of 5 %."""
    lines = ["| model | " + " | ".join(f"{n:,} rows" for n in SIZES) + " |", "|---|" + "---:|" * len(SIZES)]
    rng = np.random.default_rng(2)
    cases: dict[str, Any] = {name: functools.partial(two, rng, bend=bend) for name, bend in BENT.items()}
    cases["five classes, calibrated"] = functools.partial(many, rng, slope=1.0)
    cases["five classes, slope 0.8"] = functools.partial(many, rng, slope=0.8)
    for name, make in cases.items():
        cells = []
        for rows in SIZES:
            rejected = np.mean([measure(*make(rows)).test().is_rejected() for _ in range(draws)])
            cells.append(f"{100 * rejected:.1f} %")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(draws: int = DRAWS) -> None:
    """Measure, print and, if it is the whole measurement, write."""
    for mark, make in (("coverage", table), ("kinds", kinds), ("tests", tests)):
        found = make(draws)
        print(f"{mark}\n{found}\n", flush=True)
        if draws >= DRAWS:
            PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), mark, found), encoding="utf-8")
