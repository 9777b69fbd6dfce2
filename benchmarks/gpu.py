"""
PyTorch's tensors on a GPU: ``python -m benchmarks gpu``.

Works out every function there and on the CPU, where the core does it, and prints how far both lie apart, in units of the last place; then
how long rows take beside PyTorch's own functions, and how much memory passes in that time beside a plain copy. Writes nothing.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from sigmax.family import FAMILY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

ROUNDS, TOGETHER = 10, 10
SHAPES = ((1 << 20, 10), (1 << 14, 1000), (1 << 10, 32_768), (64, 262_144))


def inputs(torch: Any, name: str, dtype: Any) -> tuple[Any, ...]:
    """Return arguments of a function, on the CPU."""
    torch.manual_seed(0)
    entry = FAMILY[name]
    x = 8 * torch.randn(512, 300, dtype=torch.float64)
    if name in ("logit", "odds"):
        x = torch.rand(512, 300, dtype=torch.float64)
    elif name == "from_odds":
        x = x.exp()
    elif name in ("log1mexp", "logitexp"):
        x = -x.abs()
    x = x.to(dtype)
    if entry.kind == "two classes":
        return x, torch.rand(512, 300, dtype=torch.float64).round().to(dtype)
    return (x, torch.randint(0, 300, (512,))) if entry.labelled else (x,)


def apart(torch: Any, there: Any, here: Any) -> float:
    """Return the largest distance of finite numbers, in units of the last place of those of the CPU."""
    a, b = (v.detach().cpu().to(torch.float64).numpy() for v in (there, here))
    both = np.isfinite(a) & np.isfinite(b)
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return np.inf
    info = torch.finfo(here.dtype)
    unit = np.maximum(
        np.exp2(np.floor(np.log2(np.maximum(np.abs(b[both]), info.tiny)))) * info.eps, info.smallest_normal * info.eps
    )
    return float((np.abs(a[both] - b[both]) / unit).max(initial=0))


def seconds(torch: Any, work: Callable[[], Any]) -> tuple[float, float]:
    """Return how long a call keeps the device busy, and the host."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        torch.cuda._sleep(20_000_000)  # the host is ahead: what follows is ready when its turn comes
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start = time.perf_counter()
        begin.record()
        for _ in range(TOGETHER):
            work()
        end.record()
        host = (time.perf_counter() - start) / TOGETHER
        torch.cuda.synchronize()
        taken.append((begin.elapsed_time(end) / 1e3 / TOGETHER, host))
    device, host = (float(np.median(part)) for part in zip(*taken, strict=True))
    return device, host


def main() -> None:
    """Compare and measure."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("this needs a CUDA device")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    names = ("float16", "bfloat16", "float32", "float64")
    print("\nunits of the last place between the GPU's formulas and the core\n| function | " + " | ".join(names) + " |")
    for name in FAMILY:
        function, cells = getattr(sigmax, name), []
        for dtype in names:
            args = inputs(torch, name, getattr(torch, dtype))
            try:
                here = function(*args)
                there = function(*(a.cuda() for a in args))
                pairs = zip(there, here, strict=True) if isinstance(here, tuple) else [(there, here)]
                cells.append(f"{max(apart(torch, a, b) for a, b in pairs):.2f}")
            except Exception as error:  # what fails is what this is to show
                cells.append(f"{type(error).__name__}: {str(error)[:80]}")
        print(f"| {name} | {' | '.join(cells)} |")
    f = torch.nn.functional
    print(
        "\nmicroseconds of the device (of the host) a call: ours, PyTorch's, a copy; GB/s of ours, read and written once"
    )
    for dtype in ("float32", "bfloat16"):
        for shape in SHAPES:
            x = torch.randn(shape, device="cuda", dtype=getattr(torch, dtype))
            y = torch.randint(0, shape[1], (shape[0],), device="cuda")
            copied, _ = seconds(torch, x.clone)
            works: tuple[tuple[str, Any, Any], ...] = (
                ("softmax", partial(sigmax.softmax, x), partial(torch.softmax, x, -1)),
                ("log_softmax", partial(sigmax.log_softmax, x), partial(torch.log_softmax, x, -1)),
                ("logsumexp", partial(sigmax.logsumexp, x), partial(torch.logsumexp, x, -1)),
                (
                    "cross_entropy",
                    partial(sigmax.cross_entropy, x, y),
                    partial(f.cross_entropy, x, y, reduction="none"),
                ),
                ("its gradient", partial(sigmax.cross_entropy_and_grad, x, y), partial(slope, torch, x, y)),
            )
            for name, own, other in works:
                size = x.numel() * x.element_size() * (1 if name in ("logsumexp", "cross_entropy") else 2)
                line(torch, f"{dtype} {shape[0]:,} x {shape[1]:,} {name}", size, own, other, copied)
            line(
                torch,
                f"{dtype} {shape[0]:,} x {shape[1]:,} logit_softmax",
                size,
                partial(sigmax.logit_softmax, x),
                None,
                copied,
            )
        x = torch.rand(1 << 24, device="cuda").to(getattr(torch, dtype))
        y, size = x.round(), 2 * x.numel() * x.element_size()
        copied, _ = seconds(torch, x.clone)
        for name, own, other in (
            ("sigmoid", partial(sigmax.sigmoid, x), partial(torch.sigmoid, x)),
            ("log_sigmoid", partial(sigmax.log_sigmoid, x), partial(f.logsigmoid, x)),
            ("logit", partial(sigmax.logit, x), partial(torch.logit, x)),
            ("odds", partial(sigmax.odds, x), None),
            (
                "binary_cross_entropy",
                partial(sigmax.binary_cross_entropy, x, y),
                partial(f.binary_cross_entropy_with_logits, x, y, reduction="none"),
            ),
        ):
            line(torch, f"{dtype} {x.numel():,} {name}", size, own, other, copied)


def line(
    torch: Any, name: str, size: int, own: Callable[[], Any], other: Callable[[], Any] | None, copied: float
) -> None:
    """Print how long a call takes beside PyTorch's."""
    mine, host = seconds(torch, own)
    theirs, other_host = (np.nan, np.nan) if other is None else seconds(torch, other)
    told = f"{mine * 1e6:,.0f} ({host * 1e6:,.0f}), {theirs * 1e6:,.0f} ({other_host * 1e6:,.0f}), {copied * 1e6:,.0f}"
    print(f"{name}: {told}; {size / mine / 1e9:,.0f} GB/s", flush=True)


def slope(torch: Any, x: Any, y: Any) -> Any:
    """Return the gradient of PyTorch's cross-entropy."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(torch.nn.functional.cross_entropy(x, y, reduction="sum"), x)
