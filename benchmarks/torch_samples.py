"""
PyTorch's own samples against sigmax: ``python -m benchmarks torch_samples``.

The inputs that PyTorch tests its modules and functions with ship inside it, in ``torch.testing._internal``. Each is given to PyTorch in
float64 and to sigmax in every type; values, gradients and second derivatives are compared, and so is the type of the result. Prints, and
writes into docs/conformance.md, how many agree, and what differs with the reason.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.marks import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["MODES", "Case", "Outcome", "cases", "compare", "main", "transformed"]

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"

# what stays different, with the reason: of a case, and what was found
KNOWN: dict[str, Callable[[Case, str], bool]] = {
    "softplus has no threshold beyond which it returns its input: it is right everywhere": lambda case, _: (
        "softplus" in case.name.lower() and ("-100" in case.told or "threshold=0.2" in case.told)
    ),
    "scores of +inf share the whole, and its gradient; torch's is NaN": lambda case, found: (
        case.name == "logsumexp" and found.startswith("gradient") and bool(case.inputs[0].isinf().any())
    ),
    "the mean over no rows is NaN, and its derivatives 0 in both directions; torch's forward one is NaN": lambda case, found: (
        found.startswith("forward") and "ignore_index=1" in case.told and bool((case.inputs[1] == 1).all())
    ),
}


@dataclass(frozen=True)
class Case:
    """
    One sample.

    Attributes
    ----------
    name : str
        The function or module.
    number : int
        Which of its samples.
    inputs : tuple
        Tensors; those of floats are differentiated by.
    theirs, ours : callable
        Each takes the inputs.
    told : str
        The options.
    """

    name: str
    number: int
    inputs: tuple[Any, ...]
    theirs: Callable[..., Any]
    ours: Callable[..., Any]
    told: str = field(default="", compare=False)


@dataclass(frozen=True)
class Outcome:
    """What came of a case: '' where all agrees, else what differs; and the reason if it is known."""

    differs: str = ""
    known: str = ""


def cases(dtype: Any) -> Iterator[Case]:
    """Return all samples of what sigmax has, in a type."""
    yield from _modules(dtype)
    yield from _functions(dtype)


def _modules(dtype: Any) -> Iterator[Case]:
    import torch
    from torch.testing._internal.common_modules import module_db

    import sigmax.torch

    for info in module_db:
        name = info.module_cls.__name__
        if name not in sigmax.torch.__all__:
            continue
        drawn = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=False, training=True)
        for i, sample in enumerate(drawn):
            given, call = sample.constructor_input, sample.forward_input
            args, options = (
                _in(given.args, dtype),
                dict(zip(given.kwargs, _in(given.kwargs.values(), dtype), strict=True)),
            )
            ours = getattr(sigmax.torch, name)(*args, **options, **_any_label(name))
            theirs = info.module_cls(
                *_in(args, torch.float64), **dict(zip(options, _in(options.values(), torch.float64), strict=True))
            )
            inputs = (*call.args, *call.kwargs.values())
            told = ", ".join([*map(_short, given.args), *(f"{k}={_short(v)}" for k, v in given.kwargs.items())])
            yield Case(name, i, _in(inputs, dtype), theirs, ours, told)


def _functions(dtype: Any) -> Iterator[Case]:
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    import sigmax
    import sigmax.torch

    def loss(kind: Any, x: Any, y: Any, **options: Any) -> Any:
        return kind(**options, **_any_label(kind.__name__))(x, y)

    def softmax(function: Any, x: Any, dim: int, dtype: Any = None, _stacklevel: int = 0) -> Any:
        return function(x, axis=dim, dtype=dtype)

    ours: dict[str, Callable[..., Any]] = {
        "sigmoid": sigmax.sigmoid,
        "logit": lambda x, eps=None: sigmax.logit(x if eps is None else x.clamp(eps, 1 - eps)),
        "softmax": lambda *a, **k: softmax(sigmax.softmax, *a, **k),
        "log_softmax": lambda *a, **k: softmax(sigmax.log_softmax, *a, **k),
        "nn.functional.softmin": lambda x, *a, **k: softmax(sigmax.softmax, -x, *a, **k),
        "logsumexp": lambda x, dim, keepdim=False: sigmax.logsumexp(x, axis=dim, keepdims=keepdim),
        "nn.functional.logsigmoid": sigmax.log_sigmoid,
        "nn.functional.softplus": lambda x, beta=1, threshold=20: sigmax.torch.Softplus(beta, threshold)(x),
        "nn.functional.cross_entropy": lambda x, y, **k: loss(sigmax.torch.CrossEntropyLoss, x, y, **k),
        "nn.functional.binary_cross_entropy_with_logits": lambda x, y, **k: loss(
            sigmax.torch.BCEWithLogitsLoss, x, y, **k
        ),
    }
    for info in op_db:
        if info.name not in ours:
            continue
        for i, sample in enumerate(info.sample_inputs("cpu", torch.float64, requires_grad=False)):
            narrow = dict(zip(sample.kwargs, _in(sample.kwargs.values(), dtype), strict=True))
            wide = dict(zip(narrow, _in(narrow.values(), torch.float64), strict=True))
            kept = [v if isinstance(v, torch.Tensor) else None for v in sample.args]

            def call(
                function: Any, x: Any, *tensors: Any, rest: Any = sample.args, kept: Any = kept, options: Any = None
            ) -> Any:
                found = iter(tensors)
                return function(
                    x, *(v if k is None else next(found) for v, k in zip(rest, kept, strict=True)), **options
                )

            def theirs(*tensors: Any, info: Any = info, call: Any = call, options: Any = wide) -> Any:
                return call(info.op, *tensors, options=options)

            def mine(*tensors: Any, name: str = info.name, call: Any = call, options: Any = narrow) -> Any:
                return call(ours[name], *tensors, options=options)

            inputs = (sample.input, *(v for v in kept if v is not None))
            told = ", ".join([*map(_short, sample.args), *(f"{k}={_short(v)}" for k, v in sample.kwargs.items())])
            yield Case(info.name, i, _in(inputs, dtype), theirs, mine, told)


MODES = {"forward": "float64", "vmapped": "float32", "compiled": "float32"}


def transformed(case: Case, mode: str) -> Outcome:
    """Run a sample through a transformation, and compare what comes with what torch gives, or with ours without it."""
    found = _transformed(case, mode)
    reason = next((reason for reason, fits in KNOWN.items() if fits(case, found)), "") if found else ""
    return Outcome(found, reason)


def _transformed(case: Case, mode: str) -> str:
    import torch

    wide = [v.double() if _is_float(v) else v for v in case.inputs]
    places = [i for i, v in enumerate(case.inputs) if _is_float(v)]
    try:
        theirs = case.theirs(*wide)
    except Exception:
        return ""  # what torch refuses is compared elsewhere
    slopes = [_direction(v) for v in case.inputs]

    def along(function: Any, inputs: Any, dtype: Any) -> Any:
        given = list(inputs)

        def of_floats(*floats: Any) -> Any:
            for i, v in zip(places, floats, strict=True):
                given[i] = v
            return function(*given)

        floats = tuple(inputs[i] for i in places)
        return torch.func.jvp(of_floats, floats, tuple(slopes[i].to(dtype) for i in places))[1]

    try:
        if mode == "forward":
            expected = along(case.theirs, wide, torch.float64)
            found = along(case.ours, case.inputs, case.inputs[0].dtype)
            return _distance(case, "forward derivative", found, expected, [v for v in wide if _is_float(v)])
        plain = case.ours(*case.inputs)
        if mode == "vmapped":
            several = [torch.stack([v, v.flip(0) if v.ndim else v]) for v in case.inputs]
            flipped = case.ours(*(v[1] for v in several))
            found, plain = torch.func.vmap(case.ours)(*several), torch.stack([plain, flipped])
        else:
            torch._dynamo.reset()
            found = torch.compile(case.ours, backend="aot_eager", fullgraph=True)(*case.inputs)
        if found.dtype != plain.dtype or found.shape != plain.shape:
            return f"{mode}: {found.dtype} of shape {tuple(found.shape)} in place of {plain.dtype} of shape {tuple(plain.shape)}"
        return _distance(case, mode, found, plain.double(), [theirs])
    except Exception as error:
        return f"{mode}: {type(error).__name__}: {str(error).splitlines()[0]}"


def _direction(value: Any) -> Any:
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    return ((torch.arange(value.numel(), dtype=torch.float64) % 7 - 3) / 4).reshape(value.shape)  # exact in every type


def _any_label(name: str) -> dict[str, bool]:
    """Return the option by which a loss takes labels that are no probabilities, as the samples are."""
    return {"check_labels": False} if name.endswith("Loss") else {}


def _is_float(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _in(inputs: Iterable[Any], dtype: Any) -> tuple[Any, ...]:
    return tuple(v.detach().to(dtype) if _is_float(v) else v for v in inputs)


def _short(value: Any) -> str:
    return f"tensor{tuple(value.shape)}" if hasattr(value, "shape") else str(value)


def compare(case: Case) -> Outcome:
    """Run a sample in both, and compare value, gradient and, but for half precision, second derivative."""
    found = _compared(case)
    if found.differs:
        reason = next((reason for reason, fits in KNOWN.items() if fits(case, found.differs)), "")
        return Outcome(found.differs, reason)
    return found


def _compared(case: Case) -> Outcome:
    import torch

    dtype = case.inputs[0].dtype
    wide = [v.double().requires_grad_() if _is_float(v) else v for v in case.inputs]
    narrow = [v.clone().requires_grad_() if _is_float(v) else v for v in case.inputs]
    x, y = ([v for v in values if _is_float(v)] for values in (narrow, wide))
    try:
        theirs = case.theirs(*wide)
    except Exception as error:
        with contextlib.suppress(ValueError, TypeError, IndexError, RuntimeError):
            case.ours(*narrow)
            return Outcome(f"torch refuses it ({error}), sigmax does not")
        return Outcome()
    try:
        found = case.ours(*narrow)
        if found.dtype != (theirs.dtype if dtype == torch.float64 else found.dtype):
            return Outcome(f"dtype {found.dtype}")
        wrong = _distance(case, "value", found, theirs, y)
        if wrong or not theirs.requires_grad:
            return Outcome(wrong)
        v = (0.5 + torch.arange(theirs.numel(), dtype=torch.float64) % 8 / 8).reshape(
            theirs.shape
        )  # exact in every type
        g, h = _derivatives(found, x, v.to(found.dtype)), _derivatives(theirs, y, v)
        wrong = next(
            filter(
                None, (_distance(case, f"gradient {i}", a, b, y) for i, (a, b) in enumerate(zip(g, h, strict=True)))
            ),
            "",
        )
        if wrong or dtype in (torch.float16, torch.bfloat16):
            return Outcome(wrong)
        g2, h2 = (_derivatives(sum((d * d).sum() for d in ds), of, None) for ds, of in ((g, x), (h, y)))
        pairs = enumerate(zip(g2, h2, strict=True))
        return Outcome(
            next(filter(None, (_distance(case, f"second derivative {i}", a, b, y) for i, (a, b) in pairs)), "")
        )
    except Exception as error:
        return Outcome(f"{type(error).__name__}: {str(error).splitlines()[0]}")


def _derivatives(result: Any, of: list[Any], v: Any) -> list[Any]:
    import torch

    if not result.requires_grad:
        return [torch.zeros_like(x) for x in of]
    found = torch.autograd.grad(result, of, v, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, of, strict=True)]


def _largest(value: Any) -> float:
    return float(value.detach().abs().nan_to_num(0, 0, 0).max()) if value.numel() else 0.0


def _distance(case: Case, what: str, ours: Any, theirs: Any, inputs: list[Any]) -> str:
    """Say how far apart two tensors are, if that is more than rounding explains."""
    import torch

    if ours.shape != theirs.shape:
        return f"{what}: shape {tuple(ours.shape)}, torch {tuple(theirs.shape)}"
    dtype = case.inputs[0].dtype
    eps = torch.finfo(dtype).eps
    few = {"second": 8, "forwar": 16}.get(what[:6], 4)  # a forward derivative of a sum adds up many products
    # torch's own rounding, in float64, is of the size of its terms, the scores among them; and so is ours where terms are products:
    # in second derivatives, and with weights
    scale, largest = (max((_largest(t) for t in tensors), default=0.0) for tensors in ((theirs, *inputs), (theirs,)))
    slack = few * torch.finfo(torch.float64).eps * scale
    if what.startswith("second") or "weight" in case.told:
        slack = max(slack, few * eps * (scale if what.startswith("second") else largest))
    slack = max(slack, float(torch.finfo(dtype).smallest_normal) * eps)
    if torch.allclose(ours.detach().double(), theirs.detach(), rtol=few * eps, atol=slack, equal_nan=True):
        return ""
    apart = (ours.detach().double() - theirs.detach()).abs()
    return f"{what}: {float(apart.nan_to_num(float('inf')).max()):.3g} apart where the largest is {scale:.3g}"


def main(modes: bool = True) -> None:
    """Compare all samples in all types and ways, print what differs and write the table; ends with status 1 if something does for no known reason."""
    import torch

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    dtypes = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    cells: dict[str, list[str]] = {}
    known: collections.Counter[str] = collections.Counter()
    unexplained = 0

    def count(name: str, outcomes: list[Outcome]) -> None:
        agree, apart = sum(not o.differs for o in outcomes), sum(bool(o.known) for o in outcomes)
        cells.setdefault(name, []).append(f"{agree}" + (f" + {apart}" if apart else ""))
        known.update(o.known for o in outcomes if o.known)

    columns: list[tuple[str, Any, Callable[[Case], Outcome]]] = [
        (str(d).removeprefix("torch."), d, compare) for d in dtypes
    ]
    if modes:
        columns += [
            (f"{mode}, {kind}", getattr(torch, kind), functools.partial(transformed, mode=mode))
            for mode, kind in MODES.items()
        ]
    for title, dtype, look in columns:
        found: dict[str, list[Outcome]] = {}
        for case in cases(dtype):
            outcome = look(case)
            found.setdefault(case.name, []).append(outcome)
            if outcome.differs and not outcome.known:
                unexplained += 1
                shapes = ", ".join(_short(v) for v in case.inputs)
                print(f"    {case.name} {case.number} ({shapes}; {case.told}) {title}: {outcome.differs}", flush=True)
        for name, outcomes in found.items():
            count(name, outcomes)
    lines = [f"| | {' | '.join(title for title, _, _ in columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells[name])} |" for name in cells]
    lines += ["", *(f"- {reason} ({times})" for reason, times in known.items())]
    lines += [
        "",
        f"Samples of torch {torch.__version__}; those behind a + differ for the reasons listed, none for another.",
    ]
    print("\n".join(lines))
    if unexplained:
        sys.exit(1)
    if modes:
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), "torch", "\n".join(lines)), encoding="utf-8")
