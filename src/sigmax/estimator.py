"""What scikit-learn's tools ask of an estimator; scikit-learn itself is asked for nothing unless it is there."""

from __future__ import annotations

import inspect
import sys
from typing import Any

__all__ = ["Estimator", "not_fitted", "tags", "tags_of_model"]


class Estimator:
    """What scikit-learn's tools ask of an estimator: parameters by name."""

    @classmethod
    def _names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of an estimator among them under its name too."""
        found = {name: getattr(self, name) for name in self._names()}
        if deep:
            for name, value in list(found.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    found |= {f"{name}__{inner}": of for inner, of in value.get_params().items()}
        return found

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name; ``calibrator__method`` is that of an estimator inside."""
        inner: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            first, _, rest = name.partition("__")
            if first not in self._names():
                raise ValueError(
                    f"Invalid parameter {first!r} for estimator {self!r}. Valid parameters are: {self._names()!r}."
                )
            if rest:
                inner.setdefault(first, {})[rest] = value
            else:
                setattr(self, first, value)
        for first, rest_of in inner.items():
            getattr(self, first).set_params(**rest_of)
        return self

    def __repr__(self) -> str:
        usual = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        told = [
            f"{name}={getattr(self, name)!r}" for name in self._names() if not _same(getattr(self, name), usual[name])
        ]
        return f"{type(self).__name__}({', '.join(told)})"


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and not hasattr(a, "__array__") and bool(a == b))


def tags() -> Any:
    """Return scikit-learn's tags, asked for by scikit-learn alone."""
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    # its checks give one column of scores then, and two classes: they know no input whose columns are the classes
    return Tags(
        estimator_type="classifier",
        target_tags=TargetTags(required=True),
        classifier_tags=ClassifierTags(multi_class=False),
        input_tags=InputTags(one_d_array=True, two_d_array=False),
    )


def not_fitted(estimator: Any) -> Exception:
    """Return the error of an estimator that was not fitted: scikit-learn's where it is loaded."""
    told = f"This {type(estimator).__name__} is not fitted yet; call 'fit' first"
    if "sklearn" in sys.modules:
        from sklearn.exceptions import NotFittedError

        return NotFittedError(told)  # type: ignore[no-any-return]
    return AttributeError(told)


def tags_of_model(model: Any) -> Any:
    """Return the tags of a classifier around a model: the model's own."""
    from sklearn.utils import get_tags

    found = get_tags(model)
    found.array_api_support = False
    return found
