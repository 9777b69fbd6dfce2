"""How ``sigmax explain`` shows scores and their probabilities; without what reads a command line or a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from sigmax.cli.terminal import Console, plain
from sigmax.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["explain_row", "explain_scores", "signed"]


def explain_scores(console: Console, scores: Sequence[float]) -> None:
    """Show what becomes of one score, or of one for each class."""
    if any(x != x for x in scores):
        raise InputError("a score is nan; scores are real numbers")
    if len(scores) == 1:
        _explain_two(console, scores[0])
    else:
        _explain_many(console, scores)


def explain_row(console: Console, path: Path | None, row: str | None) -> None:
    """Show the weighted sum of a row's features, and what becomes of it."""
    if path is None or row is None:
        raise InputError("give a model and a row, as in: sigmax explain --model model.json --row new.csv:7")
    from sigmax.tables.explained import explained_row

    found = explained_row(path, row)
    for title, terms, total in found.sums:
        console.print(plain(title), style="bold", soft_wrap=True)
        table = Table(header_style="bold", box=None)
        table.add_column("feature", overflow="fold")
        for name in ("value x", "weight w", "w·x"):
            table.add_column(name, justify="right")
        for name, x, w in terms:
            table.add_row(plain(name), f"{x:.6g}", f"{w:.6g}", f"{w * x:+.4f}" if abs(w * x) < 1e6 else f"{w * x:+.6g}")
        table.add_row("", "", "sum z", f"{total:+.4f}" if abs(total) < 1e6 else f"{total:+.6g}", style="bold")
        console.print(table)
        console.print()
    if found.note:
        console.print(plain(found.note), soft_wrap=True)
    if len(found.scores) == 1:
        _explain_two(console, found.scores[0], found.classes)
    else:
        _explain_many(console, found.scores, found.classes)


def signed(x: float) -> str:
    """Return a number as it stands in a sum."""
    return f"{x:g}" if x >= 0 else f"(-{-x:g})"


def _explain_two(console: Console, logit: float, classes: Sequence[str] = ("0", "1")) -> None:
    from sigmax.explain import odds_ratio, two_classes

    seen = two_classes(logit)
    near = odds_ratio(seen.odds, tolerance=0.01)
    ratio = f"  = {seen.ratio[0]} : {seen.ratio[1]}" if seen.ratio else f"  about {near[0]} : {near[1]}" if near else ""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("logit", f"{logit:.6g}", "x, any real number")
    table.add_row("odds", f"{seen.odds:.6g}", f"e^x{ratio}")
    table.add_row(
        "probability",
        f"{seen.probability:.6g}",
        plain(f"P(Y={classes[1]}) = odds / (1 + odds) = 1 / (1 + e^-x), the sigmoid"),
    )
    table.add_row(
        "complement", f"{seen.complement:.6g}", plain(f"P(Y={classes[0]}) = 1 / (1 + odds), the sigmoid of -x")
    )
    console.print(table)


def _aligned(values: Sequence[float]) -> list[str]:
    """Return numbers with as many decimals each, six digits for the largest; as they are where that would lose a small one."""
    plain = [f"{v:.6g}" for v in values]
    size = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    short = max(len(text.partition(".")[2]) for text in plain)
    decimals = min(short, max(0, 5 - math.floor(math.log10(size)))) if size else 0
    lost = decimals < short and any(0 < abs(v) < 100 * 10.0**-decimals for v in values)
    return plain if lost or any("e" in text for text in plain) else [f"{v:.{decimals}f}" for v in values]


def _explain_many(console: Console, scores: Sequence[float], names: Sequence[str] = ()) -> None:
    from sigmax.explain import share_out

    classes = share_out(scores)
    table = Table(header_style="bold", show_footer=True, footer_style="bold")
    odds, shares, alone = (
        sum(values) for values in zip(*((c.odds, c.probability, c.alone) for c in classes), strict=True)
    )
    table.add_column("class", "sum")
    table.add_column("score x", justify="right")
    table.add_column("odds e^x", f"{odds:.6g}", justify="right")
    table.add_column("softmax: e^x / sum", f"{shares:.6g}", justify="right")
    table.add_column("sigmoid of x alone", f"{alone:.6g}", justify="right")
    columns = [_aligned([getattr(c, name) for c in classes]) for name in ("score", "odds", "probability", "alone")]
    for k, cells in enumerate(zip(*columns, strict=True)):
        table.add_row(plain(names[k]) if names else str(k), *cells)
    console.print(table)
    total = f"{alone:.4g}"
    console.print(
        "A sigmoid of each score answers each class by itself, yes or no: the answers "
        f"{'need not add up to 1, as these do' if total == '1' else f'add up to {total}, not to 1'}. "
        "The softmax divides each class's odds by the sum of all: one whole, shared out.",
        highlight=False,
    )
