"""
What a call costs beside PyTorch's, JAX's and SciPy's own: ``python -m benchmarks toll`` writes the table into docs/speed.md.

Small arrays, where the way to the core counts and not the core: plain tensors, tensors with a gradient, losses of a training step, NumPy, JAX under
jit. Ours and theirs take turns; a number is the median over rounds, a ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import timeit
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.marks import SPEED, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["main"]

ROUNDS, SECONDS = 11, 0.02


def calls() -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Yield what is compared: a name, ours, theirs."""
    import numpy as np
    import scipy.special
    import torch

    import sigmax
    import sigmax.torch

    # as after any larger array: before, glibc gives what is freed back at every call, and its pages cost more than the work
    torch.empty(7 << 20).fill_(0)
    f = torch.nn.functional
    for n in (10, 1000):
        x = torch.randn(n)
        yield f"softmax of {n:,}", partial(sigmax.softmax, x, axis=-1), partial(torch.softmax, x, -1)
        yield f"log_softmax of {n:,}", partial(sigmax.log_softmax, x, axis=-1), partial(torch.log_softmax, x, -1)
        yield f"sigmoid of {n:,}", partial(sigmax.sigmoid, x), partial(torch.sigmoid, x)
        yield f"logsumexp of {n:,}", partial(sigmax.logsumexp, x, axis=-1), partial(torch.logsumexp, x, -1)
    for rows, classes in ((64, 10), (64, 1000), (256, 1000)):
        x, y = torch.randn(rows, classes, requires_grad=True), torch.randint(0, classes, (rows,))
        g, q = torch.randn(rows, classes), torch.softmax(torch.randn(rows, classes), -1)

        def stepped(function: Any, by_result: Any = None, x: Any = x) -> None:
            x.grad = None
            function().backward(by_result)

        for name, target, smoothing in (("", y, 0.0), (", smoothed", y, 0.1), (", soft labels", q, 0.0)):
            ours: Any = sigmax.torch.CrossEntropyLoss(label_smoothing=smoothing)
            yield (
                f"cross-entropy{name}, forward and back, {rows} x {classes:,}",
                partial(stepped, partial(ours, x, target)),
                partial(stepped, partial(f.cross_entropy, x, target, label_smoothing=smoothing)),
            )
        yield (
            f"softmax, forward and back, {rows} x {classes:,}",
            partial(stepped, partial(sigmax.softmax, x, axis=-1), g),
            partial(stepped, partial(torch.softmax, x, -1), g),
        )
    small = np.random.default_rng(0).normal(size=10)
    yield "NumPy: sigmoid of 10", partial(sigmax.sigmoid, small), partial(scipy.special.expit, small)
    yield "NumPy: softmax of 10", partial(sigmax.softmax, small), partial(scipy.special.softmax, small)
    yield from jax_calls()


def jax_calls() -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Yield the same for JAX, all of it under jit."""
    import jax
    import numpy as np

    import sigmax

    jnp, rng = jax.numpy, np.random.default_rng(0)

    def jitted(function: Any, *given: Any) -> Callable[[], Any]:
        def plain(*x: Any) -> Any:  # the elementwise functions are ufuncs, which jax.jit does not take
            return function(*x)

        compiled = jax.jit(plain)
        return lambda: jax.block_until_ready(compiled(*given))

    def textbook(x: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=-1).mean()

    for n in (10, 1000):
        x = jnp.asarray(rng.normal(size=n), jnp.float32)
        for name in ("softmax", "log_softmax", "sigmoid", "logsumexp"):
            theirs = jax.nn.logsumexp if name == "logsumexp" else getattr(jax.nn, name)
            yield f"JAX: {name} of {n:,}", jitted(getattr(sigmax, name), x), jitted(theirs, x)
    for rows, classes in ((64, 10), (256, 1000)):
        x, y = jnp.asarray(rng.normal(size=(rows, classes)), jnp.float32), jnp.asarray(rng.integers(0, classes, rows))
        yield (
            f"JAX: cross-entropy and its gradient, {rows} x {classes:,}",
            jitted(jax.value_and_grad(lambda x, y: sigmax.cross_entropy(x, y).mean()), x, y),
            jitted(jax.value_and_grad(textbook), x, y),
        )
    x = jnp.asarray(rng.normal(size=(100_000, 10)), jnp.float32)
    yield "JAX: softmax of 100,000 x 10", jitted(sigmax.softmax, x), jitted(jax.nn.softmax, x)


def compared(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float, float]:
    """Return microseconds of both, and how many times as long ours takes."""
    loops = []
    for work in (ours, theirs):
        work()
        count, taken = timeit.Timer(work).autorange()
        loops.append(max(1, round(count * SECONDS / taken)))
    turns = list(zip((ours, theirs), loops, strict=True))
    found = [[timeit.timeit(work, number=n) / n * 1e6 for work, n in turns] for _ in range(ROUNDS)]
    mine, other = (statistics.median(part) for part in zip(*found, strict=True))
    return mine, other, statistics.median(a / b for a, b in found)


def told(microseconds: float) -> str:
    """Return a time with three digits."""
    return f"{microseconds:,.0f}" if microseconds >= 100 else f"{microseconds:.3g}"


def main(level: str = "", threads: int = 0) -> None:
    """Measure one setting and print it as JSON; without one, all of them, and write the page."""
    if threads:
        from sigmax import bench

        bench.use_level(level)
        bench.use_cores(threads)
        print(json.dumps({name: compared(ours, theirs) for name, ours, theirs in calls()}))
        return
    import sigmax
    from sigmax import bench

    levels = ["v3", "v4"] if sigmax.cpu_level() == "v4" else [sigmax.cpu_level()]
    settings = [(level, threads) for level in levels for threads in (1, 2)]
    found = []
    for level, threads in settings:
        words = [sys.executable, "-m", "benchmarks", "toll", "--level", level, "--threads", str(threads)]
        found.append(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout))
    heads = [f"{level}, {threads} core{'s' * (threads > 1)}" for level, threads in settings]
    lines = [bench.setting(2), "", f"| call | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for name in found[0]:
        cells = [f"**{ratio:.2f}** ({told(mine)} / {told(other)})" for mine, other, ratio in (f[name] for f in found)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print(*lines, sep="\n")
    SPEED.write_text(put(SPEED.read_text(), "calls", "\n".join(lines)))
