"""What was measured, in words and numbers for people and for programs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sigmax.calibration.evidence import Evidence
    from sigmax.calibration.judged import Judged
    from sigmax.calibration.sums import Mean

__all__ = ["class_lines", "figures_of", "group_lines", "holm", "lines_of", "verdict"]

FEW = 50  # rows below which nothing is said of probabilities


def verdict(evidence: Evidence, judged: Judged | None = None) -> str:
    """Return what there is to say in one sentence or two: whether the probabilities hold, and what it costs that they do not."""
    error, test = evidence.error(), evidence.test()
    if evidence.rows < FEW or not error.bins:
        rows = "1 labelled row is" if evidence.rows == 1 else f"{evidence.rows:,} labelled rows are"
        return f"{rows} too few to tell whether these probabilities hold."
    whose = "they are" if len(evidence.classes) == 2 else "those of the predicted class are"
    if not test.is_rejected() and not error.is_found:
        return f"Nothing speaks against these probabilities: {whose} off by {percent(error.high, 'up')} at most."
    off = (
        f"off by {percent(error.error)} (95 %: {percent(error.low, 'down')} to {percent(error.high, 'up')}), {_lean(evidence)}"
        if error.is_found
        else f"off by {percent(error.high, 'up')} at most, but not by chance"
    )
    hold = "do not hold" if test.is_rejected() else "may not hold, though the test finds nothing certain"
    return (
        f"These probabilities {hold}: {whose} {off}.{_worst(evidence)}{_impossible(evidence)}{_cost(evidence, judged)}"
    )


def percent(value: float, way: str = "") -> str:
    """Return a share in per cent, with two digits where it is small; a limit is rounded away from what it limits, 'up' or 'down'."""
    whole = 100 * value
    if not 0 < whole < math.inf:
        return f"{whole:.1f} %"
    places = max(1, 1 - math.floor(math.log10(whole)))
    step = 10.0**-places
    rounded = {"up": math.ceil, "down": math.floor}.get(way, round)(
        whole / step * (1 - 1e-12 if way == "up" else 1)
    ) * step
    return f"{rounded:.{places}f} %"


def _worst(evidence: Evidence) -> str:
    """Return which of many classes is off, where one is."""
    if len(evidence.classes) == 2 or evidence.mean_probabilities is None:
        return ""
    adjusted = holm(evidence.test().parts)
    errors = {str(c): evidence.error(c) for c in evidence.classes if adjusted[str(c)] <= 0.05}
    found = {name: error for name, error in errors.items() if error.is_found}
    if not found:
        return ""
    name = max(found, key=lambda c: found[c].error)
    low, high = percent(found[name].low, "down"), percent(found[name].high, "up")
    return f" Against all others '{name}' is off the most, by {percent(found[name].error)} (95 %: {low} to {high})."


def _impossible(evidence: Evidence) -> str:
    """Return what is to be said of classes that occur though they were given 0."""
    rows = evidence.impossible
    if not rows:
        return ""
    return f" {rows:,} row{' is' if rows == 1 else 's are'} of a class that was given the probability 0: were they rounded?"


def _lean(evidence: Evidence) -> str:
    """Return on which side they err."""
    error = evidence.error().error
    if len(evidence.classes) == 2:
        second, share = float(np.asarray(evidence.mean_probabilities)[1]), float(evidence.class_shares[1])
        if abs(second - share) > error / 2:
            return f"too {'high' if second > share else 'low'} for '{evidence.classes[1]}'"
    gap = evidence.mean_confidence - evidence.accuracy.mean
    return "too sure" if gap > error / 2 else "not sure enough" if gap < -error / 2 else "sure at the wrong rows"


def _cost(evidence: Evidence, judged: Judged | None) -> str:
    if judged is None:
        return ""
    gain, low, _ = judged.gain
    whole = evidence.log_loss.mean
    if low <= 0 or not math.isfinite(gain):
        return " No gain from calibrating them is certain."
    return f" Calibrated, they would lose {gain:.4f} nats of a log-loss of {whole:.4f}."


def lines_of(evidence: Evidence, judged: Judged | None = None) -> Iterator[tuple[str, str]]:
    """Return the figures, a name and a text each."""
    yield "labelled rows", f"{evidence.rows:,}"
    yield "accuracy", _interval(evidence.accuracy)
    yield "log-loss", f"{_interval(evidence.log_loss)} nats"
    if judged is not None:
        gain, low, high = judged.gain
        seen = judged.loss[0].size
        by = f"by {judged.calibrator.method_}" + (f" on {seen:,} rows" if seen < evidence.rows else "")
        told = f"{gain:.4f} (95 %: {low:.4f} to {high:.4f}) nats, {by}"
        yield "  calibration would gain", re.sub(r"-(?=0\.)", "\u2212", told)
    yield "Brier score", _interval(evidence.brier)
    if len(evidence.classes) == 2 and evidence.rows:
        for name, parts in evidence.decomposition().items():
            said = (
                f"{parts.miscalibration:.4f} miscalibration \u2212 {parts.discrimination:.4f} discrimination "
                f"+ {parts.uncertainty:.4f} uncertainty"
            )
            yield f"  {'Brier score' if name == 'brier' else 'log-loss'} =", said
        mean, share = float(np.asarray(evidence.mean_probabilities)[1]), float(evidence.class_shares[1])
        yield f"'{evidence.classes[1]}'", f"mean probability {mean:.4f}, share of the labels {share:.4f}"
    yield "calibration error", str(evidence.error())
    yield "smooth calibration error", f"{evidence.smooth_error():.4f}"
    yield "test", str(evidence.test())


def _interval(found: Mean) -> str:
    if not math.isfinite(found.high):
        return f"{found.mean:.4f}"
    return f"{found.mean:.4f} (95 %: {found.low:.4f} to {found.high:.4f})"


def class_lines(evidence: Evidence) -> list[dict[str, str]]:
    """Return a line for each of more than two classes, against all others, those that are off the most first; p by Holm's rule."""
    means = evidence.mean_probabilities
    if len(evidence.classes) == 2 or means is None or not evidence.rows:
        return []
    adjusted = holm(evidence.test().parts)
    errors = {str(c): evidence.error(c) for c in evidence.classes}
    order = sorted(range(len(means)), key=lambda k: (-_size(errors[str(evidence.classes[k])].error), k))
    return [
        {
            "class": (name := str(evidence.classes[k])),
            "share": f"{evidence.class_shares[k]:.4f}",
            "mean probability": f"{means[k]:.4f}",
            "calibration error": str(errors[name]),
            "p": _p(adjusted[name]),
        }
        for k in order
    ]


def group_lines(groups: Mapping[str, Evidence], by: str) -> list[dict[str, str]]:
    """Return a line for each group, the largest first; p by Holm's rule."""
    filled = {name: evidence for name, evidence in groups.items() if evidence.rows}
    adjusted = holm({name: evidence.test().p_value for name, evidence in filled.items()})
    return [
        {
            by: name,
            "rows": f"{evidence.rows:,}",
            "accuracy": f"{evidence.accuracy.mean:.4f}",
            "log-loss": f"{evidence.log_loss.mean:.4f}",
            "calibration error": str(evidence.error()),
            "p": _p(adjusted[name]),
        }
        for name, evidence in sorted(filled.items(), key=lambda item: (-item[1].rows, item[0]))
    ]


def holm(parts: Mapping[str, float]) -> dict[str, float]:
    """Return p-values that may be looked at together: one of all is below 0.05 once in 20 times if no hypothesis is wrong (Holm, 1979)."""
    adjusted, least = {}, 0.0
    for i, (name, p) in enumerate(sorted(parts.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, p * (len(parts) - i)))
        adjusted[name] = least
    return {name: adjusted[name] for name in parts}


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _size(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def figures_of(evidence: Evidence, judged: Judged | None = None) -> dict[str, Any]:
    """Return the figures as JSON has them: what is not known is None, and an infinite loss the word inf."""
    error, test = evidence.error(), evidence.test()
    found: dict[str, Any] = {"rows": evidence.rows}
    for name in ("accuracy", "log_loss", "brier"):
        mean: Mean = getattr(evidence, name)
        found |= {name: mean.mean, f"{name}_interval": [mean.low, mean.high]}
    found |= {
        "calibration_error": error.error,
        "calibration_error_interval": [error.low, error.high],
        "smooth_calibration_error": evidence.smooth_error(),
        "p_value": test.p_value,
        "p_values": holm(test.parts) if len(test.parts) > 1 else {},
    }
    if len(evidence.classes) == 2 and evidence.rows:
        found |= {f"{name}_parts": vars(parts) for name, parts in evidence.decomposition().items()}
    if judged is not None:
        gain, low, high = judged.gain
        found |= {
            "calibration_gain": gain,
            "calibration_gain_interval": [low, high],
            "calibration_gain_by": judged.calibrator.method_,
            "calibration_gain_rows": judged.loss[0].size,
        }
    return {name: _json(value) for name, value in found.items()}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_json(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
