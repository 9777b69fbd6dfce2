"""From probabilities to decisions: what each costs, where thresholds lie, sets that hold the class, and other base rates."""

from sigmax.decisions.costs import Costs, Decided, Realised, decide, realised
from sigmax.decisions.curves import Curves, curves_of, risk_coverage
from sigmax.decisions.priors import PriorWarning, estimate_prior, shift_prior
from sigmax.decisions.sets import PredictionSets

__all__ = [
    "Costs",
    "Curves",
    "Decided",
    "PredictionSets",
    "PriorWarning",
    "Realised",
    "curves_of",
    "decide",
    "estimate_prior",
    "realised",
    "risk_coverage",
    "shift_prior",
]
