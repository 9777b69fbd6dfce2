"""What the command shows of a scored file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from sigmax.cli.terminal import Console, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigmax.tables import Summary
    from sigmax.tables.columns import Plan

__all__ = ["head_table", "say_how", "summary_table", "warn"]


def say_how(summary: Summary, form: str = "", warnings: Sequence[str] | None = None) -> None:
    """Print what of a file was taken for what, where it is not the answer itself, and what makes that doubtful."""
    lines = _understood(summary)
    if form:
        lines.insert(1, ("taken for", form))
    Console().print(plain("; ".join(f"{name}: {value}" for name, value in lines)), soft_wrap=True)
    warn(summary.warnings if warnings is None else warnings)


def warn(warnings: Sequence[str]) -> None:
    """Print what makes the answer doubtful."""
    console = Console(stderr=True)
    for warning in warnings:
        console.print(plain(f"Warning: {warning}"), style="bold yellow", soft_wrap=True)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.0001" if 0 < value < 0.00005 else ">0.9999" if 0.99995 <= value < 1 else f"{value:.4f}"


def _how(plan: Plan) -> str:
    """Return what is done to the scores first."""
    if plan.calibrator is not None:
        return f", calibrated by {plan.calibrator.method_} ({plan.calibrator.rows_:,.0f} rows)"
    return f", divided by {plan.temperature:g}" if plan.temperature != 1 else ""


def head_table(summary: Summary, width: int) -> Table:
    """Show the first rows: the kept columns and the probabilities, or of many classes the three most probable."""
    probabilities = [f"p_{c}" for c in summary.plan.classes]
    results = {*probabilities, "prediction", "confidence"}
    kept = [name for name in summary.head[0] if name not in results]
    all_fit = len(probabilities) * 9 + sum(max(len(k), 6) + 3 for k in kept) + 24 <= width
    table = Table(
        title=f"The first {len(summary.head)} of {summary.rows:,} rows", title_justify="left", header_style="bold"
    )
    for name in kept:
        table.add_column(plain(name))
    for name in probabilities if all_fit else ["most probable classes"]:
        table.add_column(plain(name), justify="right" if all_fit else "left")
    table.add_column("prediction")
    table.add_column("confidence", justify="right")
    for row in summary.head:
        if all_fit:
            shown = [_number(row[name]) for name in probabilities]
        else:
            best = sorted((name for name in probabilities if row[name] is not None), key=lambda name: -row[name])[:3]
            visible = [name for name in best if row[name] >= 0.00005] or best[:1]
            shown = ["  ".join(f"{name.removeprefix('p_')} {_number(row[name])}" for name in visible)]
        predicted = row["prediction"]
        cells = [_text(row[name]) for name in kept] + shown
        cells += ["not scored" if predicted is None else _text(predicted), _number(row["confidence"])]
        table.add_row(*map(plain, cells))
    return table


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "" if value is None else str(value)


def _understood(summary: Summary) -> list[tuple[str, str]]:
    """Say what of a file was taken for what."""
    plan = summary.plan
    names = plan.classes if len(plan.classes) <= 12 else [*plan.classes[:5], "...", *plan.classes[-2:]]
    lines = [
        ("scores" if plan.model is None else "features", _span(plan.columns) + _how(plan)),
        ("left out", _left_out(plan.left_out)),
        ("classes", f"{len(plan.classes)} by {plan.kind}: {', '.join(names)}"),
    ]
    if plan.label is not None:
        unseen = [c for c, rows in zip(plan.classes, summary.label_counts, strict=True) if not rows]
        none = f"; no row has {', '.join(unseen[:5])}{', ...' if len(unseen) > 5 else ''}" if unseen else ""
        lines.append(
            ("labels", f"{plan.label}, {plan.matching}{none if plan.kind != 'multilabel' and summary.labelled else ''}")
        )
    return lines


def summary_table(summary: Summary) -> Table:
    """Show what was taken for what, and what came out."""
    plan = summary.plan
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("rows", f"{summary.rows:,}")
    for name, value in _understood(summary):
        table.add_row(name, plain(value))
    table.add_row("mean confidence", f"{summary.mean_confidence:.4f}")
    table.add_row("mean entropy", f"{summary.mean_entropy:.4f} nats")
    reasons = "; ".join(f"{count:,}: {reason}" for reason, count in summary.unscored.items() if count)
    table.add_row("not scored", f"{summary.unscored.total():,}" + (f" ({reasons})" if reasons else ""))
    if plan.label is not None:
        table.add_row("accuracy", f"{summary.accuracy:.4f} of {summary.labelled:,} labelled rows")
        table.add_row("log-loss", f"{summary.log_loss:.4f} nats")
    return table


def _left_out(columns: Sequence[tuple[str, str]]) -> str:
    """Name the columns that are no scores, with their types."""
    few = ", ".join(f"{name or 'a column without a name'} ({kind})" for name, kind in columns[:6])
    return (few + (f" and {len(columns) - 6} more" if len(columns) > 6 else "")) or "nothing"


def _span(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} ... {names[-1]} ({len(names)} columns)"
