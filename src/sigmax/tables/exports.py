"""A model elsewhere: as ONNX, from columns to probabilities; as PMML; as a query for DuckDB."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol
from xml.sax.saxutils import quoteattr

import numpy as np

from sigmax.calibration import exported
from sigmax.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.calibration import Calibrator
    from sigmax.tables.features import Features

__all__ = ["onnx_of", "pmml_of", "sql_of"]


class Chain(Protocol):
    """What is looked at of a :class:`sigmax.tables.model.Model`."""

    @property
    def features(self) -> Features: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def coefficients(self) -> NDArray[np.float64]: ...
    @property
    def intercept(self) -> NDArray[np.float64]: ...
    @property
    def calibrator(self) -> Calibrator | None: ...
    @property
    def is_binary(self) -> bool: ...


def onnx_of(model: Chain) -> Any:
    """Return the chain as ONNX; see :meth:`Model.to_onnx`."""
    from onnx import TensorProto, checker, helper

    g = exported.Graph()
    inputs, parts = [], []
    for c in model.features.columns:
        words = c.categories is not None
        inputs.append(
            helper.make_tensor_value_info(c.name, TensorProto.STRING if words else TensorProto.DOUBLE, ["rows", 1])
        )
        if c.categories is not None:
            if c.categories:
                hot = g("OneHotEncoder", c.name, domain="ai.onnx.ml", cats_strings=list(c.categories), zeros=1)
                parts.append(g("Cast", g("Reshape", hot, np.array([-1, len(c.categories)])), to=TensorProto.DOUBLE))
            if c.may_miss:
                missing = g("OneHotEncoder", c.name, domain="ai.onnx.ml", cats_strings=[""], zeros=1)
                parts.append(g("Cast", g("Reshape", missing, np.array([-1, 1])), to=TensorProto.DOUBLE))
        elif c.fill is None:
            parts.append(g("Identity", c.name))
        else:
            parts.append(g("Where", g("IsNaN", c.name), c.fill, c.name))
            parts.append(g("Cast", g("IsNaN", c.name), to=TensorProto.DOUBLE))
    x = g("Concat", *parts, axis=1)
    z = g("Add", g("MatMul", x, model.coefficients.T), model.intercept[None])
    count = len(model.classes)
    if model.calibrator is None:
        p = g("Softmax", z, axis=1) if count > 2 else g("Concat", g("Sigmoid", g("Neg", z)), g("Sigmoid", z), axis=1)
    else:
        p = exported.calibrated_onnx(g, z, model.calibrator)
    g.nodes.append(helper.make_node("Identity", [p], ["probabilities"]))
    made = helper.make_graph(
        g.nodes,
        "sigmax_model",
        inputs,
        [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["rows", count])],
        g.constants,
    )
    imports = [helper.make_opsetid("", exported.OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    found = helper.make_model(made, opset_imports=imports, producer_name="sigmax")
    found.ir_version = 9
    helper.set_model_props(found, {"classes": json.dumps(model.classes)})
    checker.check_model(found)
    return found


def pmml_of(model: Chain) -> str:
    """Return the regression as PMML; see :meth:`Model.to_pmml`."""
    if model.calibrator is not None:
        raise InputError("PMML has no calibrators; export the model without its own")
    odd = [c.name for c in model.features.columns if c.fill is not None or c.may_miss]
    if odd:
        raise InputError(f"PMML has no indicator of a missing value, as '{odd[0]}' has one; fit without --missing mean")
    fields, mining = [], []
    for c in model.features.columns:
        if c.categories is None:
            fields.append(f"    <DataField name={quoteattr(c.name)} optype='continuous' dataType='double'/>")
        else:
            values = "".join(f"<Value value={quoteattr(v)}/>" for v in c.categories)
            fields.append(
                f"    <DataField name={quoteattr(c.name)} optype='categorical' dataType='string'>{values}</DataField>"
            )
        mining.append(f"      <MiningField name={quoteattr(c.name)}/>")
    classes = "".join(f"<Value value={quoteattr(v)}/>" for v in model.classes)
    target = "class" if all(c.name != "class" for c in model.features.columns) else "sigmax class"
    fields.append(
        f"    <DataField name={quoteattr(target)} optype='categorical' dataType='string'>{classes}</DataField>"
    )
    mining.append(f"      <MiningField name={quoteattr(target)} usageType='target'/>")
    outputs = [
        f"      <OutputField name={quoteattr(f'p_{v}')} optype='continuous' dataType='double' feature='probability' value={quoteattr(v)}/>"
        for v in model.classes
    ]
    tables = []
    order = [(1, 0)] if model.is_binary else [(k, k) for k in range(len(model.classes))]
    for k, line in order:
        predictors, j = [], 0
        for c in model.features.columns:
            for category in c.categories if c.categories is not None else (None,):
                w = float(model.coefficients[line, j])
                name, j = quoteattr(c.name), j + 1
                predictors.append(
                    f"        <NumericPredictor name={name} coefficient='{w!r}'/>"
                    if category is None
                    else f"        <CategoricalPredictor name={name} value={quoteattr(category)} coefficient='{w!r}'/>"
                )
        head = f"      <RegressionTable intercept='{float(model.intercept[line])!r}' targetCategory={quoteattr(model.classes[k])}>"
        tables.append("\n".join([head, *predictors, "      </RegressionTable>"]))
    if model.is_binary:
        tables.append(f"      <RegressionTable intercept='0.0' targetCategory={quoteattr(model.classes[0])}/>")
    how = "logit" if model.is_binary else "softmax"
    return "\n".join(
        [
            "<?xml version='1.0' encoding='UTF-8'?>",
            "<PMML version='4.4' xmlns='http://www.dmg.org/PMML-4_4'>",
            "  <Header><Application name='sigmax'/></Header>",
            f"  <DataDictionary numberOfFields='{len(fields)}'>",
            *fields,
            "  </DataDictionary>",
            f"  <RegressionModel functionName='classification' normalizationMethod='{how}'>",
            "    <MiningSchema>",
            *mining,
            "    </MiningSchema>",
            "    <Output>",
            *outputs,
            "    </Output>",
            *tables,
            "  </RegressionModel>",
            "</PMML>",
            "",
        ]
    )


def sql_of(model: Chain, source: str) -> str:
    """Return the chain as a query; see :meth:`Model.to_sql`."""
    terms: list[list[str]] = [[exported.number(float(b))] for b in model.intercept]
    lacking = []
    j = 0
    for c in model.features.columns:
        name = exported.quoted(c.name)
        if c.categories is None:
            value = f"CAST({name} AS DOUBLE)"
            missing = f"({name} IS NULL OR isnan({value}))"
            if c.fill is None:
                lacking.append(f"{missing} OR isinf({value})")
                made = [value]
            else:
                lacking.append(f"coalesce(isinf({value}), false)")
                made = [
                    f"CASE WHEN {missing} THEN {exported.number(c.fill)} ELSE {value} END",
                    f"CAST({missing} AS DOUBLE)",
                ]
        else:
            word = f"CAST({name} AS VARCHAR)"
            missing = f"coalesce(trim({word}), '') = ''"
            made = [f"CAST(coalesce({word} = {_text(v)}, false) AS DOUBLE)" for v in c.categories]
            if c.may_miss:
                made.append(f"CAST({missing} AS DOUBLE)")
            else:
                lacking.append(missing)
        for feature in made:
            for k, line in enumerate(model.coefficients):
                if line[j]:
                    terms[k].append(f"{exported.number(float(line[j]))} * {feature}")
            j += 1
    none = " OR ".join(lacking) or "false"
    scores = [f"CASE WHEN {none} THEN NULL ELSE {' + '.join(t)} END AS _sigmax_f{k}" for k, t in enumerate(terms)]
    inner = f"SELECT *, {', '.join(scores)} FROM {source}"  # noqa: S608 - names are quoted
    names = [f"_sigmax_f{k}" for k in range(len(terms))]
    if model.calibrator is not None:
        query = exported.sql_of(model.calibrator, f"({inner})", names)
        return f"SELECT * EXCLUDE ({', '.join(names)}) FROM ({query})"  # noqa: S608
    if model.is_binary:
        p = ["1 / (1 + exp(_sigmax_f0))", "1 / (1 + exp(-_sigmax_f0))"]
    else:
        shares = [f"exp({n} - greatest({', '.join(names)}))" for n in names]
        p = [f"{s} / ({' + '.join(shares)})" for s in shares]
    made_p = ", ".join(
        f"CASE WHEN _sigmax_f0 IS NULL THEN NULL ELSE {e} END AS {exported.quoted(f'p_{c}')}"
        for e, c in zip(p, model.classes, strict=True)
    )
    return f"SELECT * EXCLUDE ({', '.join(names)}), {made_p} FROM ({inner})"  # noqa: S608


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
