"""Calibrators elsewhere: as an ONNX model, and as a query for DuckDB. Both do what the fitted map does, in float64."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sigmax.calibration.given import LARGEST, RAREST, Form
from sigmax.calibration.maps import Affine, Beta, Map, OneVsRest, Polynomial, Tempered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["OPSET", "Graph", "calibrated_onnx", "number", "onnx_of", "quoted", "sql_of"]


class Fitted(Protocol):
    """What is looked at of a fitted calibrator."""

    method: str
    method_: str
    form_: Form
    classes_: NDArray[Any]
    map_: Map
    n_features_in_: int
    limit_: float
    rows_: float


OPSET = 18
COLD = 1e300  # a temperature of 0: what scores are multiplied by


def _each(fitted: Map) -> tuple[Map, ...]:
    return fitted.maps if isinstance(fitted, OneVsRest) else (fitted,)


def _check(fitted: Map) -> None:
    for part in _each(fitted):
        if not isinstance(part, Tempered | Polynomial | Beta | Affine):
            raise ValueError(
                "a map of steps has no formula; export one of the other methods, such as Calibrator('quadratic')"
            )


def _factor(fitted: Tempered) -> float:
    return 0.0 if math.isinf(fitted.temperature) else 1 / fitted.temperature if fitted.temperature else COLD


# ---- ONNX ----


class Graph:
    """Nodes, one after the other."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """Return the name of a constant: whole numbers are axes or places."""
        array = np.asarray(value)
        name = f"constant_{len(self.constants)}"
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float64)
        self.constants.append(self._numpy.from_array(array, name))
        return name

    def __call__(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node; numbers among its inputs become constants. Return the name of its output."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(operator, names, [output], **attributes))
        return output


def onnx_of(calibrator: Fitted) -> Any:
    """Return the model; see :meth:`Calibrator.to_onnx`."""
    from onnx import TensorProto, checker, helper

    _check(calibrator.map_)
    g = Graph()
    count = len(calibrator.classes_)
    p = calibrated_onnx(g, "scores", calibrator)
    g.nodes.append(helper.make_node("Identity", [p], ["probabilities"]))
    graph = helper.make_graph(
        g.nodes,
        "sigmax_calibrator",
        [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["rows", calibrator.n_features_in_])],
        [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["rows", count])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="sigmax")
    model.ir_version = 9
    said = {
        "classes": json.dumps(calibrator.classes_.tolist()),
        "scores": calibrator.form_,
        "method": calibrator.method_,
    }
    helper.set_model_props(model, said)
    checker.check_model(model)
    return model


def calibrated_onnx(g: Graph, scores: str, calibrator: Fitted) -> str:
    """Add what a calibrator makes of scores; return the name of its probabilities."""
    _check(calibrator.map_)
    count = len(calibrator.classes_)
    found = _mapped(g, calibrator.map_, _logits(g, scores, calibrator), count)
    p = (
        g("Softmax", found, axis=1)
        if count > 2
        else g("Concat", g("Sigmoid", g("Neg", found)), g("Sigmoid", found), axis=1)
    )
    if calibrator.method_ != "none":
        part = 1 / (calibrator.rows_ + 1)
        p = g("Add", g("Mul", p, 1 - part), part / count)
    return p


def _logits(g: Graph, x: str, calibrator: Fitted) -> str:
    """Return finite scores as the map takes them: of two classes one column."""
    form, count, limit = calibrator.form_, len(calibrator.classes_), calibrator.limit_
    single = calibrator.n_features_in_ == 1
    if form == "probabilities":
        x = g("Clip", x, 0.0, 1.0)
        x = g("Sub", g("Log", x), g("Log", g("Sub", 1.0, x))) if single else g("Log", x)
    if count == 2 and not single:
        first, second = (g("Gather", x, np.array([k]), axis=1) for k in (0, 1))
        missing = g("Or", g("IsNaN", first), g("IsNaN", second))
        x = g("Sub", second, first)
        x = g("Where", missing, math.nan, g("Where", g("IsNaN", x), 0.0, x))
    infinite = g("IsInf", x)
    if count == 2:
        return g("Where", infinite, g("Mul", g("Sign", x), limit), g("Clip", x, -LARGEST, LARGEST))
    if form != "logits" and calibrator.method != "none":
        return g("Max", x, math.log(RAREST))
    below, above = g("Where", infinite, math.inf, x), g("Where", infinite, -math.inf, x)
    low = g("Sub", g("ReduceMin", below, np.array([1])), limit)
    high = g("Add", g("ReduceMax", above, np.array([1])), limit)
    # a row without a finite score: 0 for what is impossible, the limit for what is certain
    low, high = (g("Where", g("IsInf", end), other, end) for end, other in ((low, 0.0), (high, limit)))
    return g("Where", infinite, g("Where", g("Greater", x, 0.0), high, low), x)


def _mapped(g: Graph, fitted: Map, z: str, count: int) -> str:
    if isinstance(fitted, Tempered):
        if fitted.temperature == 0 and count > 2:
            z = g("Sub", z, g("ReduceMax", z, np.array([1])))
        return g("Mul", z, _factor(fitted))
    if isinstance(fitted, Polynomial):
        if fitted.curve == 0:
            return g("Add", g("Mul", z, fitted.slope), fitted.shift)
        near = g("Clip", z, fitted.low, fitted.high)
        bent = g("Mul", near, fitted.curve)
        inside = g("Mul", g("Add", bent, fitted.slope), near)
        beyond = g("Mul", g("Add", g("Mul", bent, 2.0), fitted.slope), g("Sub", z, near))
        return g("Add", g("Add", inside, beyond), fitted.shift)
    if isinstance(fitted, Beta):
        yes, no = g("Mul", _log_sigmoid(g, z), fitted.yes), g("Mul", _log_sigmoid(g, g("Neg", z)), fitted.no)
        return g("Add", g("Sub", yes, no), fitted.shift)
    if isinstance(fitted, Affine):
        s = g("Mul", z, 1 / fitted.temperature)
        s = g("Sub", s, g("ReduceMean", s, np.array([1]))) if fitted.centred else g("LogSoftmax", s, axis=1)
        moved = g("Mul" if fitted.weights.ndim == 1 else "MatMul", s, fitted.weights)
        return g("Add", g("Add", s, moved), fitted.bias)
    each = []
    for k, of in enumerate(_each(fitted)):
        others = np.array([j for j in range(count) if j != k])
        own = g("Gather", z, np.array([k]), axis=1)
        rest = g("ReduceLogSumExp", g("Gather", z, others, axis=1), np.array([1]))
        each.append(_log_sigmoid(g, _mapped(g, of, g("Sub", own, rest), 2)))
    return g("Concat", *each, axis=1)


def _log_sigmoid(g: Graph, z: str) -> str:
    tail = g("Log", g("Add", g("Exp", g("Neg", g("Abs", z))), 1.0))
    return g("Sub", g("Min", z, 0.0), tail)


# ---- DuckDB ----


def sql_of(calibrator: Fitted, source: str, columns: Sequence[str]) -> str:
    """Return the query; see :meth:`Calibrator.to_sql`."""
    _check(calibrator.map_)
    count, names = len(calibrator.classes_), [quoted(c) for c in columns]
    missing = " OR ".join(f"{c} IS NULL OR isnan(CAST({c} AS DOUBLE))" for c in names)
    scores = [f"CASE WHEN {missing} THEN NULL ELSE {_logarithm(c, calibrator)} END" for c in names]
    query = _select(source, _named("x", scores))
    query = _of_two(query, calibrator, len(columns)) if count == 2 else _of_many(query, calibrator, count)
    part = 0.0 if calibrator.method_ == "none" else 1 / (calibrator.rows_ + 1)
    mixed = [
        f"{number(1 - part)} * _sigmax_p{k} + {number(part / count)}" if part else f"_sigmax_p{k}" for k in range(count)
    ]
    final = ", ".join(
        f"CASE WHEN _sigmax_x0 IS NULL THEN NULL ELSE {p} END AS {quoted(f'p_{c}')}"
        for p, c in zip(mixed, calibrator.classes_.tolist(), strict=True)
    )
    return f"SELECT * EXCLUDE ({', '.join(_made(query))}), {final} FROM ({query})"  # noqa: S608 - names are quoted


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + str(name).replace('"', '""') + '"'


def number(value: float) -> str:
    """Return a number as SQL has it."""
    return f"({value!r})" if math.isfinite(value) else f"CAST('{'-' if value < 0 else ''}inf' AS DOUBLE)"


def _named(letter: str, expressions: Sequence[str]) -> dict[str, str]:
    return {f"_sigmax_{letter}{k}": e for k, e in enumerate(expressions)}


class _Query(str):
    """A query, and the columns that it has made so far."""

    made: tuple[str, ...] = ()


def _made(query: str) -> tuple[str, ...]:
    return query.made if isinstance(query, _Query) else ()


def _select(source: str, made: dict[str, str]) -> _Query:
    """Return a query with more columns than its source."""
    inner = f"({source})" if isinstance(source, _Query) else source
    query = _Query(f"SELECT *, {', '.join(f'{e} AS {name}' for name, e in made.items())} FROM {inner}")  # noqa: S608 - names are quoted
    query.made = (*_made(source), *made)
    return query


def _logarithm(column: str, calibrator: Fitted) -> str:
    """Return a score as a logit or a log-probability, which may be infinite."""
    x, infinite = f"CAST({column} AS DOUBLE)", number(math.inf)
    if calibrator.form_ != "probabilities":
        return x
    if calibrator.n_features_in_ > 1:
        return f"CASE WHEN {x} <= 0 THEN -{infinite} WHEN {x} >= 1 THEN 0 ELSE ln({x}) END"
    return f"CASE WHEN {x} <= 0 THEN -{infinite} WHEN {x} >= 1 THEN {infinite} ELSE ln({x}) - ln(1 - {x}) END"


def _of_two(query: str, calibrator: Fitted, columns: int) -> _Query:
    if columns == 2:
        both = "isinf(_sigmax_x0) AND isinf(_sigmax_x1) AND _sigmax_x0 = _sigmax_x1"
        query = _select(query, {"_sigmax_d": f"CASE WHEN {both} THEN 0 ELSE _sigmax_x1 - _sigmax_x0 END"})
    x, limit = "_sigmax_d" if columns == 2 else "_sigmax_x0", number(calibrator.limit_)
    finite = f"CASE WHEN isinf({x}) THEN sign({x}) * {limit} ELSE greatest(least({x}, {LARGEST!r}), -{LARGEST!r}) END"
    query = _select(query, {"_sigmax_z": finite})
    query = _select(query, {"_sigmax_y": _of_one(calibrator.map_, "_sigmax_z")})
    return _select(query, {"_sigmax_p0": "1 / (1 + exp(_sigmax_y))", "_sigmax_p1": "1 / (1 + exp(-_sigmax_y))"})


def _of_one(fitted: Map, z: str) -> str:
    """Return the map of two classes."""
    if isinstance(fitted, Tempered):
        return f"{z} * {number(_factor(fitted))}"
    if isinstance(fitted, Polynomial):
        shift, slope, curve = (number(v) for v in (fitted.shift, fitted.slope, fitted.curve))
        if fitted.curve == 0:
            return f"{shift} + {slope} * {z}"
        near = f"least(greatest({z}, {number(fitted.low)}), {number(fitted.high)})"
        return f"{shift} + ({slope} + {curve} * {near}) * {near} + ({slope} + 2 * {curve} * {near}) * ({z} - {near})"
    yes, no, shift = (number(getattr(fitted, name)) for name in ("yes", "no", "shift"))
    return f"{shift} + {yes} * {_sql_log_sigmoid(z)} - {no} * {_sql_log_sigmoid(f'(-{z})')}"


def _sql_log_sigmoid(z: str) -> str:
    return f"(least({z}, 0) - ln(1 + exp(-abs({z}))))"


def _of_many(query: str, calibrator: Fitted, count: int) -> _Query:
    x, fitted, limit = [f"_sigmax_x{k}" for k in range(count)], calibrator.map_, number(calibrator.limit_)
    if calibrator.form_ != "logits" and calibrator.method != "none":
        query = _select(query, _named("z", [f"greatest({c}, {number(math.log(RAREST))})" for c in x]))
    else:
        finite = f"list_filter([{', '.join(x)}], lambda v: isfinite(v))"
        ends = {
            "_sigmax_low": f"coalesce(list_min({finite}) - {limit}, 0)",
            "_sigmax_high": f"coalesce(list_max({finite}) + {limit}, {limit})",
        }
        query = _select(query, ends)
        query = _select(
            query,
            _named(
                "z",
                [
                    f"CASE WHEN isinf({c}) THEN CASE WHEN {c} > 0 THEN _sigmax_high ELSE _sigmax_low END ELSE {c} END"
                    for c in x
                ],
            ),
        )
    z = [f"_sigmax_z{k}" for k in range(count)]
    if isinstance(fitted, OneVsRest):
        made = []
        for k, of in enumerate(fitted.maps):
            others = [c for j, c in enumerate(z) if j != k]
            query = _select(query, {f"_sigmax_m{k}": f"greatest({', '.join(others)})"})
            terms = " + ".join(f"exp({c} - _sigmax_m{k})" for c in others)
            query = _select(query, {f"_sigmax_l{k}": f"{z[k]} - _sigmax_m{k} - ln({terms})"})
            made.append(_sql_log_sigmoid(f"({_of_one(of, f'_sigmax_l{k}')})"))
        query = _select(query, _named("y", made))
    elif isinstance(fitted, Affine):
        query = _select(query, _named("s", [f"{c} / {number(fitted.temperature)}" for c in z]))
        s = [f"_sigmax_s{k}" for k in range(count)]
        if fitted.centred:
            query = _select(query, {"_sigmax_mean": f"({' + '.join(s)}) / {count}"})
        else:
            query = _select(query, {"_sigmax_most": f"greatest({', '.join(s)})"})
            query = _select(
                query, {"_sigmax_mean": f"_sigmax_most + ln({' + '.join(f'exp({c} - _sigmax_most)' for c in s)})"}
            )
        query = _select(query, _named("c", [f"{c} - _sigmax_mean" for c in s]))
        made = []
        for k in range(count):
            if fitted.weights.ndim == 1:
                moved = f"_sigmax_c{k} * {number(float(fitted.weights[k]))}"
            else:
                moved = " + ".join(f"_sigmax_c{j} * {number(float(fitted.weights[j, k]))}" for j in range(count))
            made.append(f"_sigmax_c{k} + {moved} + {number(float(fitted.bias[k]))}")
        query = _select(query, _named("y", made))
    elif isinstance(fitted, Tempered):
        factor = number(_factor(fitted))
        query = _select(query, {"_sigmax_top": f"greatest({', '.join(z)})"})
        query = _select(query, _named("y", [f"({c} - _sigmax_top) * {factor}" for c in z]))
    y = [f"_sigmax_y{k}" for k in range(count)]
    query = _select(query, {"_sigmax_best": f"greatest({', '.join(y)})"})
    query = _select(query, _named("e", [f"exp({c} - _sigmax_best)" for c in y]))
    query = _select(query, {"_sigmax_sum": " + ".join(f"_sigmax_e{k}" for k in range(count))})
    return _select(query, _named("p", [f"_sigmax_e{k} / _sigmax_sum" for k in range(count)]))
