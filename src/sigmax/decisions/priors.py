"""Other base rates: probabilities where the classes' shares are not those of where a model was fitted."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from sigmax.decisions.given import log_odds_of, log_probabilities_of, shares_of
from sigmax.inputs import weights_of
from sigmax.rows import log_softmax

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration import Evidence
    from sigmax.calibration.given import Form

__all__ = ["PriorWarning", "estimate_prior", "shift_prior"]


ENOUGH = 1e-10  # nats that could still be gained


class PriorWarning(UserWarning):
    """Shares were estimated from probabilities of which nothing says that they hold."""


def shift_prior(
    scores: ArrayLike,
    old: ArrayLike,
    new: ArrayLike | Literal["estimate"],
    *,
    form: Form = "auto",
    evidence: Evidence | None = None,
) -> NDArray[np.float64]:
    """
    Return scores for other shares of the classes: exactly those of the same model where the classes are as frequent as `new` says.

    Parameters
    ----------
    scores : array_like of shape (rows, classes), or (rows,) for two classes
        Scores or probabilities; a single column is that of the second class.
    old : array_like of shape (classes,), or float
        The shares where the model was fitted; of two classes, the second's. For class weights or resampling: the shares that the model saw, such as
        0.5 for balanced classes.
    new : array_like of shape (classes,), or float, or 'estimate'
        The shares where it is used; 'estimate' finds them from these rows, see :func:`estimate_prior`.
    form : {'auto', 'logits', 'log-probabilities', 'probabilities'}
        What the scores are; 'auto' tells by their values.
    evidence : Evidence, optional
        What labelled rows of the old shares say of the probabilities: an estimate rests on their holding.

    Returns
    -------
    ndarray of shape (rows,) or (rows, classes)
        The logit of the second class, or log-probabilities.

    Notes
    -----
    By Bayes' rule a score changes by the logarithm of new / old (Saerens, Latinne and Decaestecker, 2002).

    Examples
    --------
    A model of balanced classes says 0.5; in a world with 1 % of the second class that is 0.01.

    >>> import sigmax
    >>> from sigmax.decisions import shift_prior
    >>> float(sigmax.sigmoid(shift_prior([0.5], 0.5, 0.01, form="probabilities"))[0].round(12))
    0.01
    """
    z = log_odds_of(scores, form)
    classes = 2 if z.ndim == 1 else z.shape[1]
    before = shares_of("old", old, classes)
    if isinstance(new, str):
        if new != "estimate":
            raise ValueError(f"new={new!r}; give shares, or 'estimate'")
        after = estimate_prior(z, before, form="logits" if z.ndim == 1 else "log-probabilities", evidence=evidence)
    else:
        after = shares_of("new", new, classes)
    change = np.log(after) - np.log(before)
    return z + (change[1] - change[0]) if z.ndim == 1 else np.asarray(log_softmax(z + change))


def estimate_prior(
    scores: ArrayLike,
    old: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    form: Form = "auto",
    evidence: Evidence | None = None,
) -> NDArray[np.float64]:
    """
    Return the shares of the classes among rows without labels: those under which their probabilities are the likeliest.

    Parameters
    ----------
    scores, old, form
        As for :func:`shift_prior`.
    sample_weight : array_like of shape (rows,), optional
        What each row counts for.
    evidence : Evidence, optional
        What labelled rows of the old shares say of the probabilities.

    Returns
    -------
    ndarray of shape (classes,)

    Warns
    -----
    PriorWarning
        Without evidence, or if it rejects that the probabilities hold: the shares are wrong then by as much.

    Notes
    -----
    Maximises the mean of ``log sum_k r_k p_ik / old_k``, which is concave in r, by Newton's method, to 1e-10 of it.

    Examples
    --------
    >>> import numpy as np, sigmax, warnings
    >>> from sigmax.decisions import estimate_prior
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.random(20_000) < 0.1
    >>> logits = 2 * rng.normal(size=20_000) + np.where(labels, 2, -2)  # of a model fitted where both are as frequent
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     print(estimate_prior(logits, 0.5, form="logits").round(2).tolist())
    [0.9, 0.1]
    """
    _warn(evidence)
    z = log_odds_of(scores, form)
    logs = log_probabilities_of(z)
    before = shares_of("old", old, logs.shape[1])
    w = weights_of(sample_weight, len(logs))
    if not (w > 0).any():
        raise ValueError("all sample weights are zero: no row counts")
    w = w / w.sum()
    ratios = logs - np.log(before)
    ratios = ratios - ratios.max(axis=1, keepdims=True)
    return _likeliest(ratios, w)


def _likeliest(ratios: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the shares r of the largest mean of log(A r), A the exponentials of the ratios: Newton's method inside the simplex, and EM where it does not lead up.

    With g the derivatives by r, max g - 1 bounds what could still be gained.
    """
    a = np.exp(ratios)
    classes = a.shape[1]
    r = np.full(classes, 1 / classes)

    def value(shares: NDArray[np.float64]) -> float:
        with np.errstate(divide="ignore"):
            return float(w @ np.log(a @ shares))

    now = value(r)
    for _ in range(2000):
        each = a / (a @ r)[:, None]
        g = w @ each
        if g.max() - 1 <= ENOUGH:
            break
        free = np.flatnonzero((r > 1e-9) | (g > 1))
        bent = (each[:, free] * w[:, None]).T @ each[:, free]
        system = np.block([[bent, np.ones((free.size, 1))], [np.ones((1, free.size)), np.zeros((1, 1))]])
        d = np.zeros(classes)
        d[free] = np.linalg.lstsq(system, np.append(g[free], 0.0), rcond=None)[0][:-1]
        down = d < 0
        t = min(1.0, 0.99 * float((r[down] / -d[down]).min())) if down.any() else 1.0
        better = None
        for _ in range(30):
            after = np.maximum(r + t * d, 0.0)
            after /= after.sum()
            if (new := value(after)) > now:
                better = new, after
                break
            t /= 2
        em = r * g / (r * g).sum()
        if (new := value(em)) > (better[0] if better is not None else -np.inf):
            better = new, em
        if better is None or better[0] <= now:
            break
        now, r = better
    return r


def _warn(evidence: Evidence | None) -> None:
    told = ""
    if evidence is None:
        told = (
            "nothing says that these probabilities hold: pass evidence=measure(probabilities, labels) of labelled rows"
        )
    elif math.isnan(p := evidence.test().p_value) or evidence.test().is_rejected():
        told = f"these probabilities do not hold where their labels are known (p = {p:.2g}): calibrate them first"
    if told:
        warnings.warn(f"the shares are estimated from probabilities, and {told}", PriorWarning, stacklevel=4)
