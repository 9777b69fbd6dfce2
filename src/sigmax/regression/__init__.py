"""Multinomial logistic regression with an offset and a penalty for each coefficient: what calibration and regression are made of."""

from sigmax.regression.designs import Design, Own, Shared
from sigmax.regression.problem import Fit, Problem, solve

__all__ = ["Design", "Fit", "Own", "Problem", "Shared", "solve"]
