"""Multinomial logistic regression with an offset and a penalty for each coefficient: what calibration and regression are made of."""

from sigmax.regression.designs import Design, Own, Shared
from sigmax.regression.newton import Problem, Solution, solve

__all__ = ["Design", "Own", "Problem", "Shared", "Solution", "solve"]
