"""The losses of a classifier, from its scores: the cross-entropy of many classes and of two, with their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigmax.typing import loss_and_gradient, of_rows, per_score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sigmax.host.contract import Axis

__all__ = ["binary_cross_entropy", "binary_cross_entropy_and_grad", "cross_entropy", "cross_entropy_and_grad"]


@of_rows
def cross_entropy(
    x: ArrayLike | Any,
    y: ArrayLike | Any,
    /,
    *,
    axis: Axis | Any = -1,
    temperature: ArrayLike | Any = 1.0,
    where: ArrayLike | Any = None,
    label_smoothing: float = 0.0,
) -> Any:
    """
    Cross-entropy of class scores and labels, one number a row: ``-log(p[y])``.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    y : array_like
        The labels: integers, the number of the class of each row; or floats of the shape of `x`, the probability of each
        class in [0, 1], which sum to 1 within 0.01.
    axis : int or tuple of ints, default -1
        The axis, or axes, of the classes. With several, a label counts through them in the order given.
    temperature : array_like, default 1
        What the scores are divided by: one number, or one for each row.
    where : array_like of bool, optional
        False marks an impossible class; its score is not looked at. Broadcasts to `x`.
    label_smoothing : float, default 0
        The part of each label, in [0, 1), that is spread evenly over the possible classes.

    Returns
    -------
    ndarray or scalar
        One loss a row, in the dtype of `x`: +inf if the label is an impossible class, NaN if no class is possible.

    Raises
    ------
    TypeError
        If `x`, `y` or `where` has a dtype that does not fit.
    ValueError
        If a label is no class or no probabilities, or an argument is out of its range or has a shape that does not fit.
    numpy.exceptions.AxisError
        If `x` has no such axis.

    See Also
    --------
    cross_entropy_and_grad : with the derivative by the scores.
    log_softmax : the log-probabilities of all classes.

    Notes
    -----
    With probabilities q as labels the loss is ``sum(-q * log(p))``. No term is negative, so nothing cancels; a confident
    row has its true small loss, not 0. Source: Blanchard, Higham and Higham 2021, as in :func:`log_softmax`.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.cross_entropy([[2.0, 1.0, 0.1], [50.0, 0.0, 0.0]], [0, 0]).tolist()
    [0.4170300162778335, 3.8574996959278356e-22]
    """


@loss_and_gradient
def cross_entropy_and_grad(
    x: ArrayLike | Any,
    y: ArrayLike | Any,
    /,
    *,
    axis: Axis | Any = -1,
    temperature: ArrayLike | Any = 1.0,
    where: ArrayLike | Any = None,
    label_smoothing: float = 0.0,
) -> Any:
    """
    Cross-entropy of class scores and labels, and its derivative by the scores, in one pass.

    Parameters
    ----------
    x, y, axis, temperature, where, label_smoothing
        As for :func:`cross_entropy`.

    Returns
    -------
    loss : ndarray or scalar
        As from :func:`cross_entropy`.
    gradient : ndarray or scalar
        Of the shape and dtype of `x`: ``(p - q) / temperature``, where q is 1 for the label and 0 elsewhere, or the
        label's probabilities, their sum taken as it is (``(sum(q) p - q) / temperature``). 0 for an impossible class.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`cross_entropy`.

    Notes
    -----
    The derivative by the label's own score is ``p - 1``, which comes from the other classes' share and so does not cancel
    to 0 for a confident row.

    Examples
    --------
    >>> import sigmax
    >>> loss, gradient = sigmax.cross_entropy_and_grad([50.0, 0.0], 0)
    >>> float(loss), gradient.tolist()
    (1.9287498479639178e-22, [-1.9287498479639178e-22, 1.9287498479639178e-22])
    """


@per_score
def binary_cross_entropy(x: ArrayLike | Any, y: ArrayLike | Any, /) -> Any:
    """
    Cross-entropy of logits and labels of two classes: ``-y log(sigmoid(x)) - (1 - y) log(sigmoid(-x))``.

    Parameters
    ----------
    x : array_like
        Logits (log-odds), any real numbers. Integers and bool are taken as float64.
    y : array_like
        The labels: bool, or numbers in [0, 1], the probability of class 1. Broadcasts with `x`.

    Returns
    -------
    ndarray or scalar
        Losses, elementwise, in the dtype of `x`.

    Raises
    ------
    TypeError
        If `x` or `y` is not of real numbers.
    ValueError
        If a label is outside [0, 1], or the shapes do not broadcast.

    See Also
    --------
    binary_cross_entropy_and_grad : with the derivative by the logits.

    Notes
    -----
    Computed as ``log1p(exp(-abs(x))) + abs(x) * (1 - y if x > 0 else y)``, in which no term is negative.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.binary_cross_entropy([40.0, 40.0, 0.0], [1, 0, 0.5]).tolist()
    [4.248354255291589e-18, 40.0, 0.6931471805599453]
    """


@loss_and_gradient
def binary_cross_entropy_and_grad(x: ArrayLike | Any, y: ArrayLike | Any, /) -> Any:
    """
    Cross-entropy of logits and labels of two classes, and its derivative by the logits, in one pass.

    Parameters
    ----------
    x, y
        As for :func:`binary_cross_entropy`.

    Returns
    -------
    loss : ndarray or scalar
        As from :func:`binary_cross_entropy`.
    gradient : ndarray or scalar
        ``sigmoid(x) - y``, elementwise, in the dtype of `x`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`binary_cross_entropy`.

    Notes
    -----
    Computed as ``(1 - y) sigmoid(x) - y sigmoid(-x)``, which keeps its digits where the sigmoid is all but equal to y.

    Examples
    --------
    >>> import sigmax
    >>> loss, gradient = sigmax.binary_cross_entropy_and_grad(40.0, 1)
    >>> float(loss), float(gradient)
    (4.248354255291589e-18, -4.248354255291589e-18)
    """
