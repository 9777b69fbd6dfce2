"""
Prove the accuracy: ``python -m benchmarks verify``.

The elementwise functions over every float16, bfloat16 and float32 there is, and over stratified float64 samples, judged by
``core/verify/reference.cpp``; the functions of rows, and the gradients pulled back through them, over stratified and adversarial
rows, up to the largest scores and from the smallest temperature to the largest, against python-flint (1,400 bits). A part of all that
is found a second time while subnormal numbers are flushed to zero and rounding goes upwards: not one bit may change. The peers that
are installed go through the same, over a part of the inputs. Prints the tables, writes them into docs/accuracy.md, and ends with
status 1 if a bar is missed.

With ``--thin N``, one input in N, and nothing is written: for tests, and to try a change.
"""

from __future__ import annotations

import ctypes
import functools
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from flint import ctx

import sigmax
from benchmarks.marks import put
from sigmax.bench.peers import FUNCTIONS, calls
from sigmax.bench.speed import short_ulps
from sigmax.family import names_of
from sigmax.host.dtypes import BFLOAT16
from sigmax.host.gradients import log_softmax_pullback, softmax_pullback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from reference import LINKS as LINKS_EXACT  # type: ignore[import-not-found]
from reference import Row, exact, signed_logsumexp, ulps

__all__ = ["Result", "main", "peer_table", "verify"]

ROOT = Path(__file__).parent.parent
Array = Any
LINKS = names_of("elementwise")
EXTREME_KINDS = ["largest", "in proportion", "one far"]
KINDS = ["spread", "confident", "ties", "even odds", "cancelling", "log-probabilities", "impossible"]
DTYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": BFLOAT16,
    "float32": np.dtype(np.float32),
    "float64": np.dtype(float),
}
ROWS = [
    "softmax",
    "softmax complement",
    "log_softmax",
    "log_softmax complement",
    "logit_softmax",
    "logsumexp",
    "logsumexp, weights and signs",
    "cross_entropy",
    "cross_entropy, its gradient",
    "softmax, its pullback",
    "log_softmax, its pullback",
]
TWO_CLASSES = ["binary_cross_entropy", "binary_cross_entropy, its gradient"]
# The largest error allowed, in ulp; for the elementwise functions of 32 bits and less also: no result wrongly rounded.
LINK_BAR = {"float16": 0.5, "bfloat16": 0.5, "float32": 0.5, "float64": 1.0}
ROW_BARS = {
    "softmax": (0.51, 1.5, 2),
    "log_softmax": (0.51, 1.5, 2),
    "softmax complement": (0.51, 2, 3),
    "log_softmax complement": (0.51, 2, 3),
    "logit_softmax": (0.51, 2, 3),
    "logsumexp": (0.51, 1, 2),
    "logsumexp, weights and signs": (0.51, 1, 2),
    "cross_entropy": (1, 2, 3),
    "cross_entropy, its gradient": (1, 2, 3),
    "softmax, its pullback": (1, 2, 3),
    "log_softmax, its pullback": (1, 2, 3),
    "binary_cross_entropy": (0.51, 1, 1),
    "binary_cross_entropy, its gradient": (0.51, 1, 1),
}
EXTREME = (5e-324, 1e-300, 1e-100, 1e-40, 1e-10, 1e10, 1e40, 1e100, 1e300, 1.7e308)  # temperatures
FLOOR = exact(
    -800
).exp()  # of a probability: a gradient is right to so much over the temperature, which is seen below T = 1e-24 only
AGAIN = 8  # one part of the inputs in so many is found a second time, in a strange floating-point state
PEERS_SEE = 64  # one float32 in so many
CHUNK = 1 << 20
DOUBLES = 100_000_000


def bar(function: str, dtype: str) -> float:
    """Return the bar of a function: its largest error in ulp."""
    if function in LINKS:
        return LINK_BAR[dtype]
    narrow, single, double = ROW_BARS[function]
    return {"float32": single, "float64": double}.get(dtype, narrow)


@dataclass
class Result:
    """What was found for one library, function and dtype."""

    library: str
    function: str
    dtype: str
    inputs: int = 0
    wrong: int = 0
    undecided: int = 0
    again: int = 0  # results that were found a second time, in a strange floating-point state,
    unlike: int = 0  # and those of them that differ
    worst: float = -1.0
    at: str = ""
    seconds: float = field(default=0.0, compare=False)

    def add(self, other: Result) -> None:
        """Take in another part of the inputs."""
        self.inputs += other.inputs
        self.wrong += other.wrong
        self.undecided += other.undecided
        self.again += other.again
        self.unlike += other.unlike
        self.seconds += other.seconds
        if other.worst > self.worst:
            self.worst, self.at = other.worst, other.at

    def compare(self, first: Array, second: Array) -> None:
        """Take in what was found in a strange floating-point state beside what was found before."""
        word = f"u{first.dtype.itemsize}"
        self.again += first.size
        self.unlike += int(np.sum(first.view(word) != second.view(word)))

    def see(self, error: float, at: str) -> None:
        """Take in one result."""
        self.inputs += 1
        if error > self.worst:
            self.worst, self.at = error, at

    @property
    def missed(self) -> bool:
        """Whether a bar is missed."""
        return self.worst > bar(self.function, self.dtype) or self.wrong > 0 or self.undecided > 0 or self.unlike > 0


class _Verdict(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int64),
        ("wrong", ctypes.c_int64),
        ("undecided", ctypes.c_int64),
        ("worst", ctypes.c_double),
        ("input", ctypes.c_double),
        ("result", ctypes.c_double),
    )


def _compile(folder: str) -> str:
    library = str(Path(folder) / "reference.so")
    source = ROOT / "core" / "verify" / "reference.cpp"
    flags = ["-std=gnu++20", "-O2", "-fno-math-errno", "-fPIC", "-shared"]
    quad = ["-lquadmath"] if platform.machine() == "x86_64" else []
    subprocess.run(["g++", *flags, str(source), "-o", library, *quad], check=True)
    return library


# ---- the elementwise functions ----


@functools.cache
def _reference(library: str) -> Any:
    reference = ctypes.CDLL(library)
    reference.enter_strange_state.restype = ctypes.c_ulong
    reference.leave.argtypes = [ctypes.c_ulong]
    reference.judge.restype = ctypes.c_bool
    return reference


def _strangely(library: str, call: Callable[[], Any]) -> Any:
    """Call in a floating-point state that flushes subnormal numbers to zero and rounds upwards."""
    reference = _reference(library)
    state = reference.enter_strange_state()
    try:
        return call()
    finally:
        reference.leave(state)


@dataclass(frozen=True)
class _Part:
    """A part of the inputs of one library, function and dtype, for one worker."""

    judge: str
    library: str
    function: str
    dtype: str
    begin: int
    end: int
    step: int


def _inputs(part: _Part) -> Array:
    dtype = DTYPES[part.dtype]
    if part.dtype == "float64":
        return _doubles(part.function, np.random.default_rng(part.begin), part.end - part.begin)
    word = np.uint16 if dtype.itemsize == 2 else np.uint32
    return np.arange(part.begin, part.end, part.step, dtype=np.uint64).astype(word).view(dtype)


def _doubles(function: str, rng: np.random.Generator, n: int) -> Array:
    """Return samples of every exponent in the domain, of the usual range, and of the places where formulas cancel."""
    kinds = rng.integers(0, 4, n)
    sign = rng.choice([-1.0, 1.0], n)
    digits = 1 + rng.random(n)
    if function in ("logit", "odds"):
        choices = [
            rng.random(n),
            np.ldexp(digits, rng.integers(-1074, -1, n)),
            0.5 + sign * 0.5 ** rng.uniform(1, 53, n),
            1 - 0.5 ** rng.uniform(0, 53, n),
        ]
    elif function == "from_odds":
        choices = [np.exp(sign * rng.random(n) * 40), np.ldexp(digits, rng.integers(-1074, 1023, n))] * 2
    elif function in ("log1mexp", "logitexp"):
        near = -math.log(2) + sign * 0.5 ** rng.uniform(1, 54, n)
        choices = [-rng.random(n) * 40, -np.ldexp(digits, rng.integers(-1074, 10, n)), near, -rng.random(n) * 2]
    else:
        choices = [
            rng.normal(size=n) * 4,
            sign * np.ldexp(digits, rng.integers(-1074, 10, n)),
            rng.uniform(-746, 746, n),
            sign * 0.5 ** rng.uniform(-6, 60, n),
        ]
    return np.choose(kinds, choices)


def _judge_part(part: _Part) -> Result:
    x = _inputs(part)
    compared = Result(part.library, part.function, part.dtype)
    with np.errstate(all="ignore"):
        if part.library == "sigmax":
            f = getattr(sigmax, part.function)
            y = f(x)
            if part.begin // (CHUNK * part.step) % AGAIN == 0:
                compared.compare(y, _strangely(part.judge, lambda: f(x)))
        else:
            y = next(c for c in calls(part.function, x) if c.library == part.library).result()
    y = np.ascontiguousarray(y)
    verdict = _Verdict(worst=-1.0)
    data = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, y)]
    form = list(DTYPES).index(part.dtype)
    begin = time.perf_counter()
    known = _reference(part.judge).judge(
        part.function.encode(), form, *data, ctypes.c_size_t(x.size), ctypes.byref(verdict)
    )
    if not known:
        raise LookupError(f"core/verify/reference.cpp has no {part.function}; write its exact value there")
    wrong = verdict.wrong if part.dtype != "float64" else 0
    at = f"{part.function}({verdict.input!r}) = {verdict.result!r}"
    seconds = time.perf_counter() - begin
    found = Result(part.library, part.function, part.dtype, verdict.inputs, wrong, verdict.undecided)
    found.worst, found.at, found.seconds = verdict.worst, at, seconds
    found.add(compared)
    return found


def _parts(judge: str, library: str, function: str, dtype: str, thin: int) -> Iterator[_Part]:
    if dtype == "float64":
        total, step = max(DOUBLES // thin, 10_000), 1
    else:
        # an odd step: it meets every pattern of low digits, and every exponent
        total, step = 1 << (8 * DTYPES[dtype].itemsize), 1 if DTYPES[dtype].itemsize == 2 or thin == 1 else thin | 1
    for begin in range(0, total, CHUNK * step):
        yield _Part(judge, library, function, dtype, begin, min(total, begin + CHUNK * step), step)


# ---- the functions of rows ----


@dataclass(frozen=True)
class _Rows:
    """Rows of one kind for one worker: how many, of how many classes, how far apart their scores are."""

    dtype: str
    classes: int
    count: int
    spread: float
    kind: str
    temperature: float
    judge: str = ""
    peers: bool = False

    def __str__(self) -> str:
        return f"{self.kind}, {self.classes} classes, spread {self.spread:g}, temperature {self.temperature:g}"


def _row_cases(judge: str, thin: int, peers: bool) -> Iterator[_Rows]:
    sizes = [(1, 2), (2, 60), (3, 60), (10, 20), (33, 6), (100, 3), (256, 2), (257, 2), (1000, 1), (4099, 1)]
    if thin == 1:
        sizes += [(32_768, 1), (131_072, 1)]
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        for classes, count in sizes:
            for spread in (1e-6, 0.1, 1.0, 5.0, 50.0, 700.0, 5000.0):
                for kind in KINDS:
                    for temperature in (1.0, 0.01, 0.37, 25.0, 100.0):
                        if classes > 5000 and (kind not in ("spread", "confident") or temperature not in (1.0, 0.37)):
                            continue
                        if rng.random() < 1 / min(thin, 40):
                            yield _Rows(
                                dtype, classes, count, spread, kind, temperature, judge, peers and classes < 5000
                            )
        for classes, count in sizes[1:9]:
            for kind in EXTREME_KINDS:
                for temperature in (*EXTREME, 1.0, 0.37) if kind == "largest" else EXTREME:
                    for spread in (0.1, 5.0, 700.0):
                        if rng.random() < 1 / min(thin, 100):  # of 4,200 bits, which take their time
                            yield _Rows(dtype, classes, count, spread, kind, temperature, judge)


def _extreme_scores(case: _Rows, rng: np.random.Generator) -> Array:
    """Return scores up to the largest number of the dtype; or of which the quotients by the temperature are usual, all or all but one."""
    dtype, shape = DTYPES[case.dtype], (case.count, case.classes)
    largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
    if case.kind == "largest":
        x = rng.choice([-1.0, 1.0], shape) * (1 - 2.0 ** -rng.uniform(0, 12, shape)) * largest
    else:
        with np.errstate(over="ignore"):
            x = np.clip(rng.normal(size=shape) * case.spread * case.temperature, -largest, largest)
    if case.kind == "one far":
        x[:, -1] = -largest * (1 - 2.0 ** -rng.uniform(0, 40, case.count))
    return x.astype(dtype)


def _scores(case: _Rows) -> Array:
    rng = np.random.default_rng(list(str(case).encode()))
    if case.kind in EXTREME_KINDS:
        return _extreme_scores(case, rng)
    x = rng.normal(size=(case.count, case.classes)) * case.spread
    if case.kind == "confident":
        x[:, case.classes // 2] += 3 * case.spread + 20
    elif case.kind == "ties":
        x = np.round(x)
    elif case.kind == "even odds" and case.classes > 1:  # the first class is as likely as all others
        x[:, 0] = sigmax.logsumexp(x[:, 1:] / case.temperature) * case.temperature
    elif case.kind == "cancelling":
        x -= np.expand_dims(sigmax.logsumexp(x), -1)
    elif (
        case.kind == "log-probabilities"
    ):  # of rows in which a class is ahead by up to 45, one in four of them by up to 700
        x *= min(1, 5 / case.spread)
        ahead = np.where(rng.random(case.count) < 0.25, 700, 45)
        x[:, case.classes // 2] = x.max(axis=1) + rng.uniform(0, ahead)
        x = sigmax.log_softmax(x)
    elif case.kind == "impossible" and case.classes > 2:
        x[rng.random(x.shape) < 0.3] = -np.inf
        x[:, :2] = 0.5, -0.25
    limit = 60_000.0 if case.dtype == "float16" else np.inf
    return np.where(np.isinf(x), x, np.clip(x, -limit, limit)).astype(DTYPES[case.dtype])


def _all_of_rows(x: Array, label: Array, soft: Array, weights: Array, g: Array, temperature: float) -> dict[str, Array]:
    """Return what every function over rows makes of them."""
    options: dict[str, Any] = {"temperature": temperature}
    loss, gradient = sigmax.cross_entropy_and_grad(x, label, **options)
    soft_loss, soft_gradient = sigmax.cross_entropy_and_grad(x, soft, **options)
    weighted, sign = sigmax.logsumexp(x, weights=weights, return_sign=True)
    return {
        "softmax": sigmax.softmax(x, **options),
        "softmax complement": sigmax.softmax(x, complement=True, **options),
        "log_softmax": sigmax.log_softmax(x, **options),
        "log_softmax complement": sigmax.log_softmax(x, complement=True, **options),
        "logit_softmax": sigmax.logit_softmax(x, **options),
        "softmax, its pullback": softmax_pullback(x, g, **options),
        "log_softmax, its pullback": log_softmax_pullback(x, g, **options),
        "cross_entropy, its gradient": gradient,
        "cross_entropy, its gradient, soft": soft_gradient,
        "cross_entropy": loss,
        "cross_entropy, soft": soft_loss,
        "logsumexp": sigmax.logsumexp(x),
        "logsumexp, weights and signs": weighted,
        "logsumexp, weights and signs, the sign": sign,
    }


def _own_name(name: str) -> str:
    return name.removesuffix(", soft").removesuffix(", the sign")


def _judge_rows(case: _Rows) -> list[Result]:
    dtype, x = DTYPES[case.dtype], _scores(case)
    rng = np.random.default_rng(5)
    found = {name: Result("sigmax", name, case.dtype) for name in ROWS}
    possible = np.isfinite(x.astype(float))
    label = np.array([rng.choice(np.flatnonzero(p)) for p in possible])
    soft = rng.random(x.shape) * possible
    soft /= soft.sum(axis=1, keepdims=True)
    if case.kind in EXTREME_KINDS and case.classes > 1:  # parts so small that they make a number of what is beyond all
        soft *= 10.0 ** -rng.uniform(0, 300, x.shape)
        soft[:, 0] += 1 - soft.sum(axis=1)
    soft = soft.astype(dtype)
    weights = (rng.normal(size=x.shape) * possible).astype(dtype)
    g = rng.normal(size=x.shape).astype(dtype)
    given = (x, label, soft, weights, g, case.temperature)
    y = _all_of_rows(*given)
    for name, again in _strangely(case.judge, lambda: _all_of_rows(*given)).items():
        found[_own_name(name)].compare(np.asarray(y[name]), np.asarray(again))

    def see(name: str, got: Any, true: Any, where: str) -> None:
        if (
            cold
            and name.endswith(("gradient", "soft", "pullback"))
            and np.isfinite(got)
            and abs(exact(got) - true) < floor
        ):
            true = exact(got)
        found[_own_name(name)].see(ulps(got, true, dtype), f"{float(got)!r}: {case}; {where}")

    cold, floor = case.temperature < 1e-24, FLOOR / exact(case.temperature)
    # the quotient of the largest score by the smallest temperature has 2,100 bits before the point
    ctx.prec = 4200 if case.kind in EXTREME_KINDS else 1400
    for i, row in enumerate(x):
        true = Row(row, case.temperature)
        picked = range(case.classes) if case.classes <= 10 else {*rng.integers(0, case.classes, 12), true.first}
        targets = {
            "": [exact(float(k == label[i])) for k in range(case.classes)],
            ", soft": [exact(v) for v in soft[i]],
        }
        cotangent = [exact(v) if p else exact(0) for v, p in zip(g[i], possible[i], strict=True)]
        pulled = {
            "softmax, its pullback": true.softmax_pullback(cotangent),
            "log_softmax, its pullback": true.log_softmax_pullback(cotangent),
        }
        alone = possible[i].sum() == 1
        for k in picked:
            where = f"class {k} of row {i}"
            if not possible[i, k]:
                wanted = {"softmax": 0, "softmax complement": 1, "log_softmax": -np.inf, "log_softmax complement": 0}
                wanted |= {
                    "logit_softmax": -np.inf,
                    "cross_entropy, its gradient": 0,
                    "cross_entropy, its gradient, soft": 0,
                }
                wanted |= dict.fromkeys(pulled, 0)
                good = all(y[name][i, k] == value for name, value in wanted.items())
                found["softmax"].see(0.0 if good else np.inf, f"{case}; {where}")
                continue
            for name in ("softmax", "softmax complement", "log_softmax", "log_softmax complement", "logit_softmax"):
                if not alone or "log" not in name or name == "log_softmax":
                    see(name, y[name][i, k], getattr(true, name.replace(" ", "_"))(k), where)
            for which, target in targets.items():
                name = f"cross_entropy, its gradient{which}"
                see(name, y[name][i, k], true.gradient(target, k), where + which)
            for name, values in pulled.items():
                see(name, y[name][i, k], values[k] if not alone else exact(0), where)
        for which, target in targets.items():
            see(f"cross_entropy{which}", y[f"cross_entropy{which}"][i], true.cross_entropy(target), f"row {i}{which}")
        if case.temperature == 1:
            see("logsumexp", y["logsumexp"][i], true.logsumexp, f"row {i}")
            kept = possible[i]
            name = "logsumexp, weights and signs"
            true_value, true_sign = signed_logsumexp(row[kept], weights[i][kept])
            see(name, y[name][i], true_value, f"row {i}")
            if y[f"{name}, the sign"][i] != true_sign:
                found[name].see(np.inf, f"the sign: {case}; row {i}")
    theirs = _judge_peers(case, x) if case.peers and case.temperature == 1 and possible.all() else []
    return [*found.values(), *theirs]


@dataclass(frozen=True)
class _Pairs:
    """Logits and labels of two classes of one kind."""

    dtype: str
    count: int
    kind: str
    judge: str

    def draw(self) -> tuple[Array, Array]:
        """Return them."""
        rng, dtype = np.random.default_rng(list(f"{self.dtype} {self.kind}".encode())), DTYPES[self.dtype]
        info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        sign = rng.choice([-1.0, 1.0], self.count)
        if self.kind == "every exponent":
            x = sign * 2.0 ** rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)), self.count)
        else:
            x = sign * 10.0 ** rng.uniform(-3, 3, self.count)
        x = np.clip(x, -float(info.max), float(info.max)).astype(dtype)
        y = rng.choice([0.0, 1.0, 0.5, *rng.random(5), *10.0 ** -rng.uniform(0, 300, 5)], self.count)
        if self.kind == "close":  # labels so close to the probability that most of the gradient's digits cancel
            y = np.minimum(sigmax.sigmoid(x).astype(float) * (1 + 2.0 ** -rng.uniform(1, 44, self.count)), 1.0)
        return x, y


def _judge_pairs(case: _Pairs) -> list[Result]:
    x, y = case.draw()
    found = {name: Result("sigmax", name, case.dtype) for name in TWO_CLASSES}

    def pair() -> dict[str, Array]:
        return dict(zip(TWO_CLASSES, sigmax.binary_cross_entropy_and_grad(x, y), strict=True))

    got = pair()
    for name, again in _strangely(case.judge, pair).items():
        found[name].compare(np.asarray(got[name]), np.asarray(again))
    ctx.prec = 4200
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        logit, label = exact(np.clip(a.astype(float), -5000, 5000)), exact(b)  # whose exponential is 0 in all types
        likely, size = LINKS_EXACT["softplus"](-abs(logit)), abs(exact(a))
        paid = size * ((1 - label) if a > 0 else label)
        true = dict(zip(TWO_CLASSES, (likely + paid, LINKS_EXACT["sigmoid"](logit) - label), strict=True))
        for name, value in true.items():
            found[name].see(
                ulps(got[name][i], value, DTYPES[case.dtype]), f"{float(got[name][i])!r}: logit {a!r}, label {b!r}"
            )
    return list(found.values())


def _judge_peers(case: _Rows, x: Array) -> list[Result]:
    """Judge what the peers make of the same rows."""
    results = []
    with np.errstate(all="ignore"):
        for name in ("softmax", "log_softmax", "logsumexp"):
            for call in calls(name, x):
                if call.library == "sigmax":
                    continue
                result, y = Result(call.library, name, case.dtype), call.result()
                for i, row in enumerate(x):
                    true = Row(row)
                    if name == "logsumexp":
                        result.see(ulps(y[i], true.logsumexp, DTYPES[case.dtype]), f"{case}; row {i}")
                        continue
                    for k in range(min(case.classes, 12)):
                        result.see(ulps(y[i, k], getattr(true, name)(k), DTYPES[case.dtype]), f"{case}; row {i}")
                results.append(result)
    return results


# ---- the whole ----


def verify(thin: int, peers: bool, only: str = "") -> list[Result]:
    """Run everything on all cores, or the functions with `only` in their names; one result for each library, function and dtype."""
    results: dict[tuple[str, str, str], Result] = {}

    def add(result: Result) -> None:
        key = (result.library, result.function, result.dtype)
        if key in results:
            results[key].add(result)
        else:
            results[key] = result

    with tempfile.TemporaryDirectory() as folder:
        judge = _compile(folder)
        parts = [p for f in LINKS if only in f for d in DTYPES for p in _parts(judge, "sigmax", f, d, thin)]
        if peers:
            for function in [f for f in FUNCTIONS if f in LINKS and only in f]:
                for dtype in DTYPES:
                    some = np.full(4, 0.5, DTYPES[dtype])
                    for library in [c.library for c in calls(function, some) if c.library != "sigmax"]:
                        parts += _parts(judge, library, function, dtype, max(thin, PEERS_SEE))
        processes = len(os.sched_getaffinity(0))
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for result in pool.imap_unordered(_judge_part, parts, chunksize=4):
                add(result)
            for several in pool.imap_unordered(
                _judge_rows,
                list(_row_cases(judge, thin, peers) if any(only in name for name in ROWS) else ()),
                chunksize=4,
            ):
                for result in several:
                    if result.inputs and only in result.function:
                        add(result)
            pairs = [
                _Pairs(d, 20_000 // min(thin, 40), kind, judge)
                for d in DTYPES
                for kind in ("every exponent", "usual", "close")
            ]
            for several in pool.imap_unordered(
                _judge_pairs, pairs if any(only in name for name in TWO_CLASSES) else ()
            ):
                for result in several:
                    if only in result.function:
                        add(result)
    order = [*LINKS, *ROWS, *TWO_CLASSES]
    return sorted(
        results.values(), key=lambda r: (order.index(r.function), list(DTYPES).index(r.dtype), r.library != "sigmax")
    )


def own_table(results: list[Result]) -> str:
    """Return what was found for sigmax as a Markdown table."""
    lines = [
        "| function | dtype | results judged | wrongly rounded | largest error, ulp | bar | worst result |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for r in results:
        if r.library != "sigmax":
            continue
        wrong = f"{r.wrong:,}" if r.function in LINKS and r.dtype != "float64" else ""
        lines.append(
            f"| {r.function} | {r.dtype} | {r.inputs:,} | {wrong} | {'**missed:** ' if r.missed else ''}{short_ulps(r.worst)} "
            f"| {bar(r.function, r.dtype)} | `{r.at}` |"
        )
    return "\n".join(lines)


def peer_table(results: list[Result]) -> str:
    """Return the largest error of each library as a Markdown table."""
    found = {(r.library, r.function, r.dtype): r.worst for r in results}
    libraries = ["sigmax", *sorted({r.library for r in results} - {"sigmax"})]
    lines = ["| largest error, ulp | dtype | " + " | ".join(libraries) + " |", "|---|---|" + "---:|" * len(libraries)]
    for function in dict.fromkeys(r.function for r in results):
        for dtype in DTYPES:
            cells = [short_ulps(found[k]) if (k := (name, function, dtype)) in found else "" for name in libraries]
            if any(cells[1:]):
                lines.append(f"| {function} | {dtype} | **{cells[0]}** | {' | '.join(cells[1:])} |")
    return "\n".join(lines)


def with_rows_of(table: str, page: str) -> str:
    """Return the page with the rows of its first table that are in another one, by function and dtype, in place of its own."""
    found = {tuple(line.split(" | ")[:2]): line for line in table.splitlines()[2:]}
    proof, end, below = page.partition("<!-- proof: end -->")
    return "\n".join(found.get(tuple(line.split(" | ")[:2]), line) for line in proof.split("\n")) + end + below


def main(thin: int, peers: bool, only: str) -> None:
    """Run, print, write, and end with status 1 if a bar is missed."""
    begin = time.perf_counter()
    results = verify(thin, peers, only)
    print(own_table(results))
    if peers:
        print(peer_table(results))
    missed = [r for r in results if r.library == "sigmax" and r.missed]
    for r in missed:
        print(
            f"missed: {r.function} {r.dtype}: {r.worst:.4f} ulp, {r.wrong} wrong, {r.undecided} undecided, {r.unlike} unlike: {r.at}"
        )
    minutes = (time.perf_counter() - begin) / 60
    ours = [r for r in results if r.library == "sigmax"]
    judged, again, unlike = (sum(getattr(r, name) for r in ours) for name in ("inputs", "again", "unlike"))
    print(
        f"{judged:,} results judged in {minutes:.1f} minutes on {len(os.sched_getaffinity(0))} cores, {again:,} of them found a second "
        f"time with subnormal numbers flushed and rounding upwards: {unlike:,} differ; {len(missed)} bars missed"
    )
    page = ROOT / "docs" / "accuracy.md"
    if thin == 1 and only:
        page.write_text(with_rows_of(own_table(results), page.read_text()))
    elif thin == 1:
        text = put(page.read_text(), "proof", own_table(results))
        if peers:
            text = put(text, "peers", peer_table(results))
        page.write_text(text)
    sys.exit(1 if missed else 0)
