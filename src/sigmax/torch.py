"""
PyTorch modules with torch's own names and signatures: change ``torch.nn`` to ``sigmax.torch`` where one is made.

Each is a subclass of the module that it stands in for. What differs is the digits (a confident row has its true loss and gradient,
not 0), and the rows that torch answers with NaN: see the contract. `sigmax.softmax` and the others take tensors as they are.
"""

from __future__ import annotations

from typing import Any

try:
    import torch
except ModuleNotFoundError:
    raise ModuleNotFoundError("sigmax.torch needs 'torch'; install it with: pip install torch", name="torch") from None
from torch import Tensor, nn

import sigmax
from sigmax.arrays.torch.arguments import check_probabilities
from sigmax.arrays.torch.define import are_values_known
from sigmax.arrays.torch.losses import cross_entropy, reduced_cross_entropy, usual_mean
from sigmax.arrays.torch.two_classes import binary_cross_entropy
from sigmax.dispatch import meet_torch
from sigmax.host.contract import check_smoothing

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "LogSigmoid",
    "LogSoftmax",
    "Sigmoid",
    "Softmax",
    "Softplus",
]


meet_torch()

_HALVES = (torch.float16, torch.bfloat16)


def _under_autocast(scores: Tensor) -> Tensor:
    """Return the scores as a loss takes them: in float32 under autocast, as torch's losses do."""
    narrow = scores.dtype in _HALVES and torch.is_autocast_enabled(scores.device.type)
    return scores.float() if narrow else scores


class Sigmoid(nn.Sigmoid):
    """
    The probability of a logit, as a module: :data:`sigmax.sigmoid`.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import Sigmoid
    >>> Sigmoid()(torch.tensor([0.0, 100.0])).tolist()
    [0.5, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the probabilities of `input`."""
        return sigmax.sigmoid(input)


class LogSigmoid(nn.LogSigmoid):
    """
    The log-probability of a logit, as a module: :data:`sigmax.log_sigmoid`.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import LogSigmoid
    >>> LogSigmoid()(torch.tensor([-100.0])).tolist()
    [-100.0]
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the log-probabilities of `input`."""
        return sigmax.log_sigmoid(input)


class Softplus(nn.Softplus):
    """
    ``log(1 + exp(beta x)) / beta``, as a module.

    Parameters
    ----------
    beta : float, default 1
        What the input is multiplied with.
    threshold : float, default 20
        Beyond it torch returns its input; here the result is right everywhere, and the threshold is not looked at.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import Softplus
    >>> Softplus()(torch.tensor([-30.0], dtype=torch.float64)).tolist()
    [9.357622968839737e-14]
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the softplus of `input`."""
        if self.beta == 1:
            return sigmax.softplus(input)
        return sigmax.softplus(input * self.beta) / self.beta


class Softmax(nn.Softmax):
    """
    Class probabilities, as a module: :func:`sigmax.softmax`.

    Parameters
    ----------
    dim : int, optional
        The axis of the classes. Default: the last; torch guesses, with a warning.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import Softmax
    >>> Softmax(dim=-1)(torch.tensor([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the probabilities of `input`."""
        return sigmax.softmax(input, axis=_axis(self.dim))


class LogSoftmax(nn.LogSoftmax):
    """
    Class log-probabilities, as a module: :func:`sigmax.log_softmax`.

    Parameters
    ----------
    dim : int, optional
        The axis of the classes. Default: the last; torch guesses, with a warning.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import LogSoftmax
    >>> LogSoftmax(dim=-1)(torch.tensor([50.0, 0.0], dtype=torch.float64)).tolist()
    [-1.9287498479639178e-22, -50.0]
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the log-probabilities of `input`."""
        return sigmax.log_softmax(input, axis=_axis(self.dim))


def _axis(dim: int | None) -> int:
    return -1 if dim is None else dim


def _is_traced(scores: Any) -> bool:
    return type(scores).__module__ == "torch.fx.proxy"


def _loss_of(scores: Tensor, target: Tensor, kind: str, **options: Any) -> Tensor:
    loss: Tensor = globals()[kind](**options)(scores, target)
    return loss


class _Loss(nn.Module):
    """What both losses have: a graph of torch.fx holds them as one call, as it does torch's own."""

    def _written_down(self, scores: Any, target: Any) -> Any:
        names = ["weight", "pos_weight", "ignore_index", "reduction", "label_smoothing", "check_labels"]
        options = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return scores.tracer.create_proxy("call_function", _loss_of, (scores, target, type(self).__name__), options)


class CrossEntropyLoss(_Loss, nn.CrossEntropyLoss):
    """
    The loss of class scores against class numbers or probabilities, as a module: :func:`sigmax.cross_entropy`.

    Parameters
    ----------
    weight : Tensor, optional
        A factor for each class.
    ignore_index : int, default -100
        A label that is passed over.
    reduction : {'mean', 'sum', 'none'}
        With weights, 'mean' divides by the weights of the labels.
    label_smoothing : float, default 0
        The part of each label that is spread evenly over all classes.
    size_average, reduce : bool, optional
        torch's older names for `reduction`.
    check_labels : bool, default True
        Refuse probabilities outside [0, 1] and those of a row that do not sum to 1, within 0.01. False takes any numbers, as torch does.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import CrossEntropyLoss
    >>> scores = torch.tensor([[50.0, 0.0]], dtype=torch.float64, requires_grad=True)
    >>> loss = CrossEntropyLoss()(scores, torch.tensor([0]))
    >>> loss.backward()
    >>> loss.item(), scores.grad.tolist()
    (1.9287498479639178e-22, [[-1.9287498479639178e-22, 1.9287498479639178e-22]])
    """

    def __init__(self, *args: Any, check_labels: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        self.check_labels = check_labels

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        """Return the loss of scores (rows, classes, ...) against labels (rows, ...), or probabilities of the scores' shape."""
        smoothing = self.label_smoothing
        # a buffer asked for by its name costs a tenth of the call
        is_usual = self._buffers.get("weight", self) is None and self.reduction == "mean" and 0 <= smoothing < 1
        if is_usual and (self.check_labels or not target.is_floating_point()):
            straight = usual_mean(input, target, float(smoothing), self.ignore_index)
            if straight is not None:
                return straight
        if _is_traced(input):
            return self._written_down(input, target)
        if not isinstance(target, Tensor):
            raise TypeError(f"labels are a {type(target).__name__}; pass a tensor")
        given = _under_autocast(input)
        axis = 0 if given.ndim == 1 else 1
        target = self._checked(target, given.shape[axis] if given.ndim else 1)
        if self.weight is None and self.reduction != "none" and not target.is_floating_point():
            mean = self.reduction == "mean"
            return reduced_cross_entropy(given, target, axis, self.label_smoothing, self.ignore_index, mean)
        # sums and products of several roundings: in half precision they would be seen
        scores = given.float() if given.dtype in _HALVES else given
        loss, rows = (
            self._soft(scores, target, axis) if target.is_floating_point() else self._hard(scores, target, axis)
        )
        if self.reduction == "none":
            return loss.to(given.dtype)
        total = loss.sum()
        if self.reduction == "mean":  # of no rows it is NaN, and its gradient 0
            total = torch.where(rows == 0, torch.nan, total / torch.where(rows == 0, 1, rows))
        return total.to(given.dtype)

    def _checked(self, target: Tensor, classes: int) -> Tensor:
        """Refuse what torch refuses; return class numbers in a type that holds the label that is ignored."""
        check_smoothing(self.label_smoothing)
        if self.weight is not None and self.weight.shape != (classes,):
            raise ValueError(f"weight has shape {tuple(self.weight.shape)}; there are {classes} classes, each has one")
        if target.dtype == torch.bool:
            raise TypeError(
                "labels have dtype bool; pass integers, the number of each class, or floats, its probability"
            )
        if not target.is_floating_point():
            return target.long()
        if self.ignore_index >= 0:
            raise ValueError(f"ignore_index is {self.ignore_index}; probabilities as labels have no class to ignore")
        return target

    def _soft(self, scores: Tensor, target: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Return the loss of each row against probabilities, and what their mean divides by."""
        target = target.to(scores.dtype)
        if self.weight is None:
            loss = cross_entropy(
                scores, target, axis=axis, label_smoothing=self.label_smoothing, any_label=not self.check_labels
            )
        else:
            if self.check_labels and are_values_known():
                check_probabilities(target, (axis,))
            loss = self._weighted(scores, self._smoothed(target, scores, axis), axis)
        return loss, torch.tensor(loss.numel())

    def _hard(self, scores: Tensor, target: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Return the loss of each row against class numbers, and what their mean divides by: the weights of those that count."""
        kept = target != self.ignore_index
        options = dict(axis=axis, ignore=self.ignore_index)
        if self.weight is None:
            loss: Tensor = cross_entropy(scores, target, label_smoothing=self.label_smoothing, **options)
            return loss, kept.sum()
        label = torch.where(kept, target, 0)
        of_label = self.weight.to(scores.dtype).gather(0, label.reshape(-1)).reshape(label.shape)
        weights = torch.where(kept, of_label, 0)
        if not self.label_smoothing:
            return weights * cross_entropy(scores, target, **options), weights.sum()
        whole = torch.zeros_like(scores).scatter(axis, label.unsqueeze(axis), 1)
        return torch.where(kept, self._weighted(scores, self._smoothed(whole, scores, axis), axis), 0), weights.sum()

    def _smoothed(self, target: Tensor, scores: Tensor, axis: int) -> Tensor:
        """Return labels a part of which is spread over the possible classes."""
        possible = ~torch.isneginf(scores)
        spread = torch.where(possible, self.label_smoothing / possible.sum(dim=axis, keepdim=True).to(scores.dtype), 0)
        return target * (1 - self.label_smoothing) + spread

    def _weighted(self, scores: Tensor, target: Tensor, axis: int) -> Tensor:
        """Return the loss against probabilities with a factor for each class."""
        shape = [1] * scores.ndim
        shape[axis] = -1
        factors = target * self.weight.to(scores.dtype).reshape(shape)
        loss: Tensor = cross_entropy(scores, factors, axis=axis, any_label=True)
        return loss


class BCEWithLogitsLoss(_Loss, nn.BCEWithLogitsLoss):
    """
    The loss of logits against labels of two classes, as a module: :func:`sigmax.binary_cross_entropy`.

    Parameters
    ----------
    weight : Tensor, optional
        A factor for each element.
    reduction : {'mean', 'sum', 'none'}
        What is made of the losses.
    pos_weight : Tensor, optional
        A factor for the part of class 1.
    size_average, reduce : bool, optional
        torch's older names for `reduction`.
    check_labels : bool, default True
        Refuse labels outside [0, 1]. False takes any numbers, as torch does: the 1.2 of a smoothed discriminator, say.

    Examples
    --------
    >>> import torch
    >>> from sigmax.torch import BCEWithLogitsLoss
    >>> BCEWithLogitsLoss()(torch.tensor([40.0], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64)).item()
    4.248354255291589e-18
    """

    def __init__(self, *args: Any, check_labels: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        self.check_labels = check_labels

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        """Return the loss of logits against labels of the same shape."""
        if _is_traced(input):
            return self._written_down(input, target)
        if input.shape != target.shape:
            raise ValueError(f"labels have shape {tuple(target.shape)}; the logits have {tuple(input.shape)}")
        given = _under_autocast(input)
        for name, factor in (("weight", self.weight), ("pos_weight", self.pos_weight)):
            if factor is not None and torch.broadcast_shapes(factor.shape, given.shape) != given.shape:
                raise ValueError(
                    f"{name} of shape {tuple(factor.shape)} does not broadcast to the logits' {tuple(given.shape)}"
                )
        # sums and products of several roundings: in half precision they would be seen
        several = self.reduction != "none" or self.weight is not None or self.pos_weight is not None
        logits = given.float() if several and given.dtype in _HALVES else given
        if self.pos_weight is None:
            loss = binary_cross_entropy(logits, target, any_label=not self.check_labels)
        else:
            target = target.to(logits.dtype)
            if self.check_labels and are_values_known():
                check_probabilities(target)
            loss = self.pos_weight * target * sigmax.softplus(-logits) + (1 - target) * sigmax.softplus(logits)
        if self.weight is not None:
            loss = loss * self.weight
        loss = loss if self.reduction == "none" else loss.sum() if self.reduction == "sum" else loss.mean()
        return loss.to(given.dtype)
