"""A fitted regression as a file: from the columns of a table to scores, in plain numbers."""

from __future__ import annotations

import dataclasses
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

import sigmax
from sigmax import kept
from sigmax.calibration import Calibrator
from sigmax.decisions import Costs, PredictionSets
from sigmax.errors import InputError
from sigmax.links import sigmoid
from sigmax.regression.dense import Dense
from sigmax.rows import softmax
from sigmax.tables.features import Column, Encoded, Features
from sigmax.writing import onnx_model, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Model"]

FORMAT, VERSION = "sigmax model", 1


@dataclass(frozen=True)
class Model:
    """
    A fitted regression: columns of a table, and the weights of the features made of them.

    Attributes
    ----------
    features : Features
        The columns, and what becomes of each.
    classes : list of str
        In the order of the scores; of two, the first is that of a negative score.
    coefficients : ndarray of shape (1, features) or (classes, features)
    intercept : ndarray of shape (1,) or (classes,)
    errors : ndarray of the coefficients' shape, or None
        Their standard errors.
    deviations : ndarray of shape (features,), or None
        Of the features, where it was fitted.
    about : dict
        How it was fitted: rows, passes, C, gap, log_loss, what it was fitted to.
    calibrator : Calibrator or None
        What is done to the scores behind it.
    costs : Costs or None
        What decisions cost, by which `sigmax decide` decides.
    sets : PredictionSets or None
        Fitted to its scores, as the calibrator leaves them: `sigmax decide` adds the set of each row.
    """

    features: Features
    classes: list[str]
    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]
    errors: NDArray[np.float64] | None = None
    deviations: NDArray[np.float64] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    calibrator: Calibrator | None = None
    costs: Costs | None = None
    sets: PredictionSets | None = None

    def __post_init__(self) -> None:
        """Check that all parts fit one another."""
        columns = 1 if len(self.classes) == 2 else len(self.classes)
        count = len(self.features.names)
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"a model of the classes {', '.join(self.classes)}")
        if len(set(self.features.names)) < count:
            raise ValueError("two features have the same name")
        shapes = self.coefficients.shape, self.intercept.shape
        if shapes != ((columns, count), (columns,)):
            raise ValueError(f"coefficients of shapes {shapes} for {count} features and {len(self.classes)} classes")
        if self.errors is not None and self.errors.shape != self.coefficients.shape:
            raise ValueError(f"errors of shape {self.errors.shape} for coefficients of shape {self.coefficients.shape}")
        if self.deviations is not None and self.deviations.shape != (count,):
            raise ValueError(f"{self.deviations.size} deviations for {count} features")
        if self.calibrator is not None and list(map(str, self.calibrator.classes_)) != self.classes:
            raise ValueError("the calibrator is one of other classes")
        if self.costs is not None and sorted(self.costs.classes) != sorted(self.classes):
            raise ValueError("the costs are those of other classes")
        if self.sets is not None:
            named, numbered = self.classes, [str(k) for k in range(len(self.classes))]
            if [str(c) for c in self.sets.classes_] not in (named, numbered):
                raise ValueError("the sets are those of other classes")

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, and one score."""
        return len(self.classes) == 2

    def encode(self, batch: pa.RecordBatch) -> Encoded:
        """Return a batch as features."""
        return self.features.encode(batch)

    def scores(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of features of shape (features, rows): a line for each class, or the logit of the second of two."""
        z = np.asarray(Dense.plain_scores(matrix.T, np.vstack([self.coefficients.T, self.intercept])))
        return np.ascontiguousarray(z.T)

    def compose(
        self,
        calibrator: Calibrator | None = None,
        costs: Costs | None = None,
        sets: PredictionSets | None = None,
    ) -> Model:
        """
        Return the model with a calibrator behind its scores, costs to decide by, or sets to give: one file from features to decisions.

        Parameters
        ----------
        calibrator : Calibrator, optional
            Fitted to scores of this model.
        costs : Costs, optional
            By the names of the classes.
        sets : PredictionSets, optional
            Fitted to the scores behind the calibrator.
        """
        if calibrator is not None and self.sets is not None and sets is None:
            raise ValueError("the sets of this model were fitted to scores without this calibrator; fit them anew")
        return dataclasses.replace(
            self,
            calibrator=calibrator or self.calibrator,
            costs=costs or self.costs,
            sets=sets or self.sets,
        )

    @classmethod
    def from_sklearn(cls, fitted: Any, names: Sequence[str] | None = None) -> Model:
        """
        Return the model of a fitted linear classifier of scikit-learn, or of this library.

        Parameters
        ----------
        fitted : object
            With `coef_`, `intercept_` and `classes_`: a LogisticRegression.
        names : sequence of str, optional
            Of the columns; default: `feature_names_in_`, else x0, x1, ...

        Raises
        ------
        TypeError
            If it is no such classifier.
        """
        if not all(hasattr(fitted, name) for name in ("coef_", "intercept_", "classes_", "predict_proba")):
            raise TypeError(
                f"{type(fitted).__name__} has no coef_, intercept_, classes_ and predict_proba; pass a fitted LogisticRegression"
            )
        coefficients = np.asarray(
            fitted.coef_.toarray() if hasattr(fitted.coef_, "toarray") else fitted.coef_, np.float64
        )
        if names is None:
            names = getattr(fitted, "feature_names_in_", None)
        told = [f"x{j}" for j in range(coefficients.shape[1])] if names is None else [str(n) for n in names]
        intercept = np.broadcast_to(np.asarray(fitted.intercept_, np.float64), (len(coefficients),)).copy()
        classes = [str(c) for c in np.asarray(fitted.classes_).tolist()]
        made = cls(
            Features(tuple(map(Column, told))),
            classes,
            coefficients,
            intercept,
            about={"fitted_by": type(fitted).__module__},
        )
        x = np.random.default_rng(0).normal(size=(20, len(told)))  # of which both must say the same
        z = made.scores(x.T)
        p = np.column_stack([sigmoid(-z[0]), sigmoid(z[0])]) if made.is_binary else np.asarray(softmax(z.T))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = np.asarray(fitted.predict_proba(x))
        if theirs.shape != p.shape or np.abs(theirs - p).max() > 1e-6:
            raise TypeError(
                f"{type(fitted).__name__} has other probabilities than a softmax of its scores (one against the rest?)"
            )
        return made

    # ---- elsewhere ----

    def to_onnx(self, path: str | Path | None = None) -> Any:
        """
        Return the chain from columns to probabilities as an ONNX model.

        Parameters
        ----------
        path : str or Path, optional
            A file to write it to as well, ending in .onnx.

        Returns
        -------
        onnx.ModelProto
            With an input for each column, of shape (rows, 1), float64 or text ('' for a missing word), and the output `probabilities`.
        """

        def build() -> Any:
            from sigmax.tables.exports import onnx_of

            return onnx_of(self)

        return onnx_model(build, path)

    def to_pmml(self, path: str | Path | None = None) -> str:
        """
        Return the regression as PMML 4.4: a RegressionModel.

        Parameters
        ----------
        path : str or Path, optional
            A file to write it to as well.
        """
        from sigmax.tables.exports import pmml_of

        found = pmml_of(self)
        if path is not None:
            write_whole(Path(path), found.encode())
        return found

    def to_sql(self, source: str) -> str:
        """
        Return the chain as a query for DuckDB.

        Parameters
        ----------
        source : str
            The table, or what else may stand behind FROM.

        Returns
        -------
        str
            ``SELECT`` of all columns of the source and a probability ``p_<class>`` for each class; NULL where a value is missing.
        """
        from sigmax.tables.exports import sql_of

        return sql_of(self, source)

    # ---- kept ----

    def to_json(self) -> str:
        """Return the model as text: plain numbers, which :meth:`from_json` reads back to the same bits."""
        columns = [
            {
                "name": c.name,
                "categories": None if c.categories is None else list(c.categories),
                "fill": c.fill,
                "may_miss": c.may_miss,
            }
            for c in self.features.columns
        ]
        return kept.written(
            FORMAT,
            VERSION,
            {
                "created_by": f"sigmax {sigmax.__version__}",
                "classes": self.classes,
                "columns": columns,
                "coefficients": self.coefficients.tolist(),
                "intercept": self.intercept.tolist(),
                "errors": None if self.errors is None else self.errors.tolist(),
                "deviations": None if self.deviations is None else self.deviations.tolist(),
                "about": {
                    k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in self.about.items()
                },
                "calibrator": None if self.calibrator is None else self.calibrator.to_json(),
                "costs": None if self.costs is None else _costs_out(self.costs),
                "sets": None if self.sets is None else self.sets.to_json(),
            },
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """
        Return the model that a text describes. Nothing of the text is run.

        Raises
        ------
        ValueError
            If the text is no model, or holds what it should not.
        """
        state = kept.read(text, FORMAT, VERSION, STATE)
        del state["created_by"]
        return cls(Features(state.pop("columns")), **state)

    def save(self, path: str | Path) -> None:
        """Write the model to a JSON file, which appears whole or not at all."""
        write_whole(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """
        Read a model from a JSON file. Nothing of the file is run.

        Raises
        ------
        InputError
            If the file holds no model, naming it.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None


def _column(value: Any) -> Column:
    if not isinstance(value, dict) or set(value) != {"name", "categories", "fill", "may_miss"}:
        raise ValueError("a column has a name, categories, fill and may_miss")
    categories = None if value["categories"] is None else tuple(kept.texts(value["categories"]))
    if categories is not None and (len(set(categories)) < len(categories) or value["fill"] is not None):
        raise ValueError(f"the categories of '{value['name']}' are not all different, or it is a number as well")
    if categories is None and value["may_miss"] is True:
        raise ValueError(f"'{value['name']}' is a number, whose missing value is its fill")
    fill = None if value["fill"] is None else kept.number(value["fill"])
    return Column(kept.text(value["name"]), categories, fill, kept.truth(value["may_miss"]))


def _columns(value: Any) -> tuple[Column, ...]:
    found = tuple(map(_column, value if isinstance(value, list) else [None]))
    if len({c.name for c in found}) < len(found):
        raise ValueError("two columns have the same name")
    return found


def _numbers(value: Any, axes: int) -> NDArray[np.float64]:
    array = np.asarray(value)
    flat = value if axes == 1 else [v for line in value for v in line]
    if any(isinstance(v, bool) for v in flat):
        raise ValueError("it holds what is no number")
    if array.ndim != axes or array.dtype.kind not in "if" or not np.isfinite(array).all():
        raise ValueError("it holds what is no number")
    return array.astype(np.float64)


def _costs_out(costs: Costs) -> dict[str, Any]:
    return {"classes": list(costs.classes), "decisions": list(costs.decisions), "matrix": costs.matrix.tolist()}


def _costs(value: Any) -> Costs:
    if not isinstance(value, dict) or set(value) != {"classes", "decisions", "matrix"}:
        raise ValueError("costs have classes, decisions and a matrix")
    return Costs(
        _numbers(value["matrix"], 2), tuple(kept.texts(value["classes"])), tuple(kept.texts(value["decisions"]))
    )


def _spread(value: Any, axes: int) -> NDArray[np.float64]:
    found = _numbers(value, axes)
    if (found < 0).any():
        raise ValueError("it holds a number below 0")
    return found


def _about(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(v, str | int | float | bool | None) for v in value.values()):
        raise ValueError("it is no list of names with plain values")
    return value


STATE = {
    "created_by": kept.text,
    "classes": kept.texts,
    "columns": _columns,
    "coefficients": lambda value: _numbers(value, 2),
    "intercept": lambda value: _numbers(value, 1),
    "errors": lambda value: None if value is None else _spread(value, 2),
    "deviations": lambda value: None if value is None else _spread(value, 1),
    "about": _about,
    "calibrator": lambda value: None if value is None else Calibrator.from_json(kept.text(value)),
    "costs": lambda value: None if value is None else _costs(value),
    "sets": lambda value: None if value is None else PredictionSets.from_json(kept.text(value)),
}
