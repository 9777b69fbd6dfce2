"""
Train a small network on the digits twice, with torch's loss and with ours: ``python -m benchmarks training [--epochs 60]``.

Both begin with the same weights and see the same batches; an epoch of one is followed by an epoch of the other, and the ratio of their
times is taken pair by pair. Prints accuracy, loss and the median ratio for several sizes of a batch, writes them into docs/speed.md, and fails if ours is less accurate,
or slower with the whole of the training rows in a batch. Small batches are ruled by the time of a call, which is Python's for ours.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from benchmarks.marks import SPEED, put

BATCHES = (64, 256, 1200)


class Run:
    """A network, its optimizer and its loss."""

    def __init__(self, loss: Any, torch: Any) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=3e-3)
        self.loss = loss

    def epoch(self, x: Any, y: Any, order: Any, size: int) -> float:
        """Train on all rows once; return the seconds it took."""
        begin = time.perf_counter()
        for batch in order.split(size):
            self.optimizer.zero_grad()
            self.loss(self.network(x[batch]), y[batch]).backward()
            self.optimizer.step()
        return time.perf_counter() - begin


def main(epochs: int = 60) -> None:
    """Run the measurement."""
    import torch
    from sklearn.datasets import load_digits

    import sigmax.torch
    from sigmax.bench import setting

    torch.set_num_threads(1)
    sigmax.set_num_threads(1)
    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    shuffled = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, test = shuffled[:1200], shuffled[1200:]
    worst, lines = 0.0, [setting(1), ""]
    for size in BATCHES:
        runs = {"torch": Run(torch.nn.CrossEntropyLoss(), torch), "sigmax": Run(sigmax.torch.CrossEntropyLoss(), torch)}
        generator = torch.Generator().manual_seed(1)
        ratios = []
        for i in range(epochs * size // 64 if size < 1200 else epochs * 6):  # as many steps, within reason
            order = train[torch.randperm(len(train), generator=generator)]
            names = list(runs) if i % 2 else list(runs)[::-1]
            seconds = {name: runs[name].epoch(x, y, order, size) for name in names}
            ratios.append(seconds["torch"] / seconds["sigmax"])
        accuracy = {}
        for name, run in runs.items():
            scores = run.network(x[test]).detach()
            accuracy[name] = float((scores.argmax(1) == y[test]).float().mean())
            loss = float(sigmax.cross_entropy(scores, y[test]).mean())
            print(f"batches of {size}, {name}: accuracy {accuracy[name]:.4f}, loss {loss:.4f} on {len(test)} rows")
        ratio = statistics.median(ratios[3:])
        lines.append(
            f"- batches of {size:,}: PyTorch's loss takes {ratio:.2f} times as long an epoch as ours, accuracy {accuracy['torch']:.4f} and {accuracy['sigmax']:.4f}"
        )
        print(lines[-1])
        worst = max(worst, accuracy["torch"] - accuracy["sigmax"])
    SPEED.write_text(put(SPEED.read_text(), "training", "\n".join(lines)))
    if worst > 0.005 or ratio < 0.98:
        sys.exit("the training run missed its mark")
