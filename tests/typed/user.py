"""What a type checker tells whoever uses the library: run by mypy and pyright, not by pytest."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import sigmax
from sigmax.tables import Job, Summary, score_file

Floats = NDArray[Any]


class Tensor:
    """PyTorch's, as far as it is looked at here."""

    requires_grad: bool = False


class Frame:
    """A table of some library."""


scores: NDArray[np.float32] = np.zeros((2, 3), np.float32)
whole: NDArray[np.int64] = np.zeros((2, 3), np.int64)
labels = np.array([0, 1])
tensor, frame = Tensor(), Frame()

assert_type(sigmax.softmax(scores), Floats)
assert_type(sigmax.softmax(whole, axis=0, temperature=[1.0, 2.0, 0.5], where=whole > 0), Floats)
assert_type(sigmax.log_softmax([1.0, 2.0], complement=True), Floats)
assert_type(sigmax.logit_softmax(tensor, axis=(0, 1), temperature=tensor), Tensor)
assert_type(sigmax.softmax(frame), Frame)
assert_type(sigmax.sigmoid(scores), Floats)
assert_type(sigmax.sigmoid(0.4), np.floating[Any])
assert_type(sigmax.logit(tensor), Tensor)
assert_type(sigmax.logsumexp(tensor, axis=0), Tensor)
assert_type(sigmax.logsumexp(tensor, return_sign=True), tuple[Tensor, Tensor])
assert_type(sigmax.logsumexp(scores, weights=scores, return_sign=True), tuple[Any, Any])
assert_type(sigmax.cross_entropy(tensor, tensor, label_smoothing=0.1), Tensor)
assert_type(sigmax.cross_entropy_and_grad(scores, labels), tuple[Any, Floats])
assert_type(sigmax.cross_entropy_and_grad(tensor, tensor), tuple[Tensor, Tensor])
assert_type(sigmax.binary_cross_entropy(scores, labels > 0), Floats)

assert_type(score_file("scores.csv", label="label", kind="softmax"), Summary)
assert_type(score_file(Path("scores.csv"), Job(label="label"), temperature=2.0), Summary)

# what is wrong is told: each of these lines would be an error without its mark
sigmax.softmax(scores, axes=0)  # type: ignore[call-overload]  # pyright: ignore
sigmax.cross_entropy(scores)  # type: ignore[call-overload]  # pyright: ignore
score_file("scores.csv", kind="softmin")  # type: ignore[arg-type]  # pyright: ignore
score_file("scores.csv", labal="label")  # type: ignore[call-arg]  # pyright: ignore
