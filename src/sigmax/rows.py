"""The functions over an axis of class scores: probabilities, their logarithms and log-odds, and the sum they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigmax.typing import of_sums, per_score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sigmax.host.contract import Axis

    Floats = NDArray[np.floating[Any]]

__all__ = ["log_softmax", "logit_softmax", "logsumexp", "softmax"]


@per_score
def softmax(
    x: ArrayLike | Any,
    /,
    *,
    axis: Axis | Any = -1,
    temperature: ArrayLike | Any = 1.0,
    where: ArrayLike | Any = None,
    complement: bool = False,
    dtype: DTypeLike | Any = None,
    out: Floats | Any = None,
) -> Any:
    """
    Turn the scores of many classes into probabilities: ``exp(x / T) / sum(exp(x / T))``.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis : int or tuple of ints, default -1
        The axis, or axes, of the classes.
    temperature : array_like, default 1
        What the scores are divided by: one number, or one for each row. Above 1 flattens, below 1 sharpens; 0 gives the
        largest score everything (ties share), inf makes all possible classes equal.
    where : array_like of bool, optional
        False marks an impossible class: its probability is 0, and its score is not looked at. Broadcasts to `x`.
    complement : bool, default False
        Give ``1 - p`` instead of the probability ``p``, with every digit: a class that is all but certain has a complement
        that ``1 - softmax(x)`` rounds to 0.
    dtype : dtype, optional
        float16, bfloat16, float32 or float64; default: that of `x`. The result is rounded once, to this type.
    out : ndarray, optional
        Where to write the result; `x` itself is fine.

    Returns
    -------
    ndarray or scalar
        Probabilities, of the shape of `x`. A score of -inf has probability 0; scores of +inf share the whole; a row with
        a NaN is NaN; a row in which no class is possible is 0.

    Raises
    ------
    TypeError
        If `x`, `where`, `dtype` or `out` has a dtype that does not fit.
    ValueError
        If `temperature` is negative or NaN, or a shape does not fit.
    numpy.exceptions.AxisError
        If `x` has no such axis.

    See Also
    --------
    log_softmax : the logarithms, right also for a class that is all but certain.

    Notes
    -----
    Scores are shifted by an integer multiple of log 2, which is exact: entries keep their digits however small they are.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.softmax([2.0, 1.0, 0.1]).round(4).tolist()
    [0.659, 0.2424, 0.0986]
    >>> sigmax.softmax([[1.0, 2.0], [3.0, 3.0]], where=[[True, False], [True, True]]).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """


@per_score
def log_softmax(
    x: ArrayLike | Any,
    /,
    *,
    axis: Axis | Any = -1,
    temperature: ArrayLike | Any = 1.0,
    where: ArrayLike | Any = None,
    complement: bool = False,
    dtype: DTypeLike | Any = None,
    out: Floats | Any = None,
) -> Any:
    """
    Turn the scores of many classes into log-probabilities: ``x / T - log(sum(exp(x / T)))``.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis, temperature, where, complement, dtype, out
        As for :func:`softmax`; `complement` gives ``log(1 - p)``.

    Returns
    -------
    ndarray or scalar
        Log-probabilities, of the shape of `x`; -inf for an impossible class.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`softmax`.

    See Also
    --------
    softmax : the probabilities.

    Notes
    -----
    The largest term is left out of the sum and ``log1p`` puts it back (Blanchard, Higham and Higham, "Accurately computing
    the log-sum-exp and softmax functions", IMA J. Numer. Anal. 41(4), 2021): a class that is all but certain has its true
    log-probability, not 0.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.log_softmax([50.0, 0.0]).tolist()
    [-1.9287498479639178e-22, -50.0]
    """


@per_score
def logit_softmax(
    x: ArrayLike | Any,
    /,
    *,
    axis: Axis | Any = -1,
    temperature: ArrayLike | Any = 1.0,
    where: ArrayLike | Any = None,
    dtype: DTypeLike | Any = None,
    out: Floats | Any = None,
) -> Any:
    """
    Turn the scores of many classes into log-odds, each class against all the others: ``log(p / (1 - p))``.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis, temperature, where, dtype, out
        As for :func:`softmax`.

    Returns
    -------
    ndarray or scalar
        Logits, of the shape of `x`: ``softmax(x)`` is their sigmoid. -inf for an impossible class, +inf for the only
        possible one.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`softmax`.

    See Also
    --------
    log_softmax : the log-probabilities.
    logit : of a probability.

    Notes
    -----
    ``logit(softmax(x))`` loses the digits of every class near 0 or 1; here the odds come from the scores. Where a class
    has a probability of about one half, and its logit is a small difference, the work is done with 100 bits.

    Examples
    --------
    With two classes it is the difference of the scores.

    >>> import sigmax
    >>> sigmax.logit_softmax([3.0, 1.0]).tolist()
    [2.0, -2.0]
    >>> sigmax.logit_softmax([100.0, 0.0, 0.0]).round(3).tolist()
    [99.307, -100.0, -100.0]
    """


@of_sums
def logsumexp(
    x: ArrayLike | Any,
    /,
    *,
    axis: Axis | Any = -1,
    weights: ArrayLike | Any = None,
    where: ArrayLike | Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    dtype: DTypeLike | Any = None,
    out: Floats | Any = None,
) -> Any:
    """
    Logarithm of the sum of exponentials, ``log(sum(w * exp(x)))``: what the softmax divides by.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis : int or tuple of ints, default -1
        The axis, or axes, to sum over.
    weights : array_like, optional
        A finite number for each score, default 1; broadcasts to `x`. An element of weight 0 is left out. Negative weights
        need `return_sign`.
    where : array_like of bool, optional
        False leaves an element out; neither it nor its weight is looked at. Broadcasts to `x`.
    keepdims : bool, default False
        Leave the summed axes in the result with length 1.
    return_sign : bool, default False
        Also return the sign of the sum, and the logarithm of its absolute value.
    dtype, out
        As for :func:`softmax`; `out` has the shape of the result.

    Returns
    -------
    ndarray or scalar
        One number a row; -inf for an empty row or one of -inf only.
    sign : ndarray or scalar
        With `return_sign`: 1, -1, or 0 for a sum of 0, in the same dtype.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`softmax`, and for weights that are infinite, or negative without `return_sign`.

    Notes
    -----
    The largest term is left out of the sum and ``log1p`` puts it back (Blanchard, Higham and Higham 2021, algorithm 4.1).
    Where its logarithm and the rest cancel, which makes a result near 0, the work is done with 100 bits.

    Examples
    --------
    >>> import sigmax
    >>> float(sigmax.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    >>> value, sign = sigmax.logsumexp([1.0, 2.0], weights=[1.0, -1.0], return_sign=True)
    >>> float(value), float(sign)
    (1.5413248546129181, -1.0)
    """
