"""
Pictures of the functions and of scores, as Altair charts: every number in them is computed by this library.

The functions take plain arrays and return charts that a notebook shows as they are; :func:`save` writes PNG, SVG, PDF or a page
of HTML that needs no network. Colours are those of Okabe and Ito, which colour-blind readers tell apart; :func:`on_dark` turns
a chart for a dark page. Needs ``pip install 'sigmax[plot]'``.
"""

try:
    import altair as _altair  # noqa: F401 - asked for first, to say what is missing
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"sigmax.plots needs '{missing.name}'; install it with: pip install 'sigmax[plot]'", name=missing.name
    ) from missing
from sigmax.plots.classes import sigmoid_each, softmax_bars, temperature_curves
from sigmax.plots.confidence import confidence_chart as confidence_chart
from sigmax.plots.confidence import confidence_histogram
from sigmax.plots.confidence import histogram_counts as histogram_counts
from sigmax.plots.formulas import formula_errors
from sigmax.plots.functions import odds_and_log_odds, sigmoid_curve
from sigmax.plots.reliability import Axis as Axis
from sigmax.plots.reliability import reliability_chart as reliability_chart
from sigmax.plots.reliability import reliability_diagram
from sigmax.plots.saving import check_ending as check_ending
from sigmax.plots.saving import save
from sigmax.plots.style import BLUE as BLUE
from sigmax.plots.style import GREEN as GREEN
from sigmax.plots.style import GREY as GREY
from sigmax.plots.style import HORSE as HORSE
from sigmax.plots.style import ORANGE as ORANGE
from sigmax.plots.style import light_and_dark as light_and_dark
from sigmax.plots.style import on_dark, on_light
from sigmax.plots.style import rows_of as rows_of
from sigmax.plots.terms import terms_chart as terms_chart
from sigmax.plots.thresholds import decision_lines as decision_lines
from sigmax.plots.thresholds import precision_recall_chart as precision_recall_chart
from sigmax.plots.thresholds import roc_chart as roc_chart
from sigmax.plots.thresholds import threshold_costs as threshold_costs
from sigmax.plots.weights import weights_chart as weights_chart

__all__ = [
    "confidence_histogram",
    "formula_errors",
    "odds_and_log_odds",
    "on_dark",
    "on_light",
    "reliability_diagram",
    "save",
    "sigmoid_curve",
    "sigmoid_each",
    "softmax_bars",
    "temperature_curves",
]
