"""
Regression: logistic for two classes, softmax for more.

:class:`LogisticRegression` is for users; what is below it, multinomial logistic regression with an offset and a penalty for each coefficient, is
what calibrators are made of too.
"""

from sigmax.regression.designs import Design, Own, Shared
from sigmax.regression.logistic import LogisticRegression
from sigmax.regression.problem import Fit, Problem, solve
from sigmax.regression.separation import SeparationError

__all__ = ["Design", "Fit", "LogisticRegression", "Own", "Problem", "SeparationError", "Shared", "solve"]
