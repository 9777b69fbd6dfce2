"""
What comes back, for editors and type checkers: an array of the kind that went in.

Whatever else a function takes stands in its own signature. Nothing here is looked at when a program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from sigmax.dispatch import on_any_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sigmax.host.contract import Axis

    Floats = NDArray[Any]  # of the type of the scores, or of the one that was asked for

__all__ = [
    "Elementwise",
    "LossAndGradient",
    "OfRows",
    "PerScore",
    "Sum",
    "loss_and_gradient",
    "of_rows",
    "of_sums",
    "per_score",
]

P = ParamSpec("P")
A = TypeVar("A")  # an array, tensor, column or frame of any other library


class Tensor(Protocol):
    """What a PyTorch tensor is known by here."""

    requires_grad: bool


T = TypeVar("T", bound=Tensor)


class PerScore(Protocol[P]):
    """A function that returns one number for each score."""

    __name__: str

    @overload
    def __call__(self, x: NDArray[Any], /, *args: P.args, **options: P.kwargs) -> Floats: ...
    @overload
    def __call__(self, x: float, /, *args: P.args, **options: P.kwargs) -> np.floating[Any]: ...
    @overload
    def __call__(self, x: Sequence[Any], /, *args: P.args, **options: P.kwargs) -> Floats: ...
    @overload
    def __call__(self, x: A, /, *args: P.args, **options: P.kwargs) -> A: ...


class Elementwise(Protocol):
    """A NumPy ufunc of one argument, with all that ufuncs have."""

    def __getattr__(self, name: str) -> Any: ...
    @overload
    def __call__(self, x: NDArray[Any], /, out: Any = None, **options: Any) -> Floats: ...
    @overload
    def __call__(self, x: float, /, out: None = None, **options: Any) -> np.floating[Any]: ...
    @overload
    def __call__(self, x: Sequence[Any], /, out: Any = None, **options: Any) -> Floats: ...
    @overload
    def __call__(self, x: A, /, out: Any = None, **options: Any) -> A: ...


class OfRows(Protocol[P]):
    """A function of scores and labels that returns one number a row: an array, or a scalar for a single one."""

    __name__: str

    @overload
    def __call__(self, x: T, /, *args: P.args, **options: P.kwargs) -> T: ...
    @overload
    def __call__(self, x: Any, /, *args: P.args, **options: P.kwargs) -> Any: ...


class LossAndGradient(Protocol[P]):
    """A function of scores and labels that returns one number a row, and one for each score."""

    __name__: str

    @overload
    def __call__(self, x: NDArray[Any], /, *args: P.args, **options: P.kwargs) -> tuple[Any, Floats]: ...
    @overload
    def __call__(self, x: T, /, *args: P.args, **options: P.kwargs) -> tuple[T, T]: ...
    @overload
    def __call__(self, x: Any, /, *args: P.args, **options: P.kwargs) -> tuple[Any, Any]: ...


class Sum(Protocol):
    """logsumexp, which returns a pair if it is asked for the sign."""

    __name__: str

    @overload
    def __call__(
        self,
        x: T,
        /,
        *,
        axis: Axis = -1,
        weights: Any = None,
        where: Any = None,
        keepdims: bool = False,
        return_sign: Literal[False] = False,
        dtype: Any = None,
        out: Any = None,
    ) -> T: ...
    @overload
    def __call__(
        self,
        x: T,
        /,
        *,
        axis: Axis = -1,
        weights: Any = None,
        where: Any = None,
        keepdims: bool = False,
        return_sign: Literal[True],
        dtype: Any = None,
        out: Any = None,
    ) -> tuple[T, T]: ...
    @overload
    def __call__(
        self,
        x: Any,
        /,
        *,
        axis: Axis = -1,
        weights: ArrayLike | None = None,
        where: ArrayLike | None = None,
        keepdims: bool = False,
        return_sign: Literal[False] = False,
        dtype: DTypeLike | None = None,
        out: Floats | None = None,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        x: Any,
        /,
        *,
        axis: Axis = -1,
        weights: ArrayLike | None = None,
        where: ArrayLike | None = None,
        keepdims: bool = False,
        return_sign: Literal[True],
        dtype: DTypeLike | None = None,
        out: Floats | None = None,
    ) -> tuple[Any, Any]: ...


def per_score(signature: Callable[Concatenate[Any, P], Any]) -> PerScore[P]:
    """Make a function of the family of its signature and documentation."""
    made: PerScore[P] = on_any_array(signature)
    return made


def of_rows(signature: Callable[Concatenate[Any, P], Any]) -> OfRows[P]:
    """Make a function of the family of its signature and documentation."""
    made: OfRows[P] = on_any_array(signature)
    return made


def loss_and_gradient(signature: Callable[Concatenate[Any, P], Any]) -> LossAndGradient[P]:
    """Make a function of the family of its signature and documentation."""
    made: LossAndGradient[P] = on_any_array(signature)
    return made


def of_sums(signature: Callable[..., Any]) -> Sum:
    """Make a function of the family of its signature and documentation."""
    made: Sum = on_any_array(signature)
    return made
