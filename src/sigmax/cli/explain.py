"""``sigmax explain``: how scores become probabilities, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from sigmax.cli.app import UNDERSTAND, Several, app, examples
from sigmax.cli.explaining import explain_row, explain_scores, signed
from sigmax.cli.terminal import Console
from sigmax.errors import InputError

__all__ = ["explain"]


@app.command(
    group=UNDERSTAND,
    help_epilogue=examples(
        "sigmax explain 2.0 1.0 0.1",
        "sigmax explain --weights 0.4 -1.2 --inputs 3 0.5 --bias 0.1",
        "sigmax explain --model model.json --row new.csv:7",
    ),
)
def explain(
    *scores: float,
    weights: Annotated[list[float] | None, Several] = None,
    inputs: Annotated[list[float] | None, Several] = None,
    bias: float = 0.0,
    model: Path | None = None,
    row: str | None = None,
) -> None:
    """
    Show how scores become probabilities, step by step.

    One score is the two-class case: a logit, its odds, its probability and the other class's. Several are a softmax,
    beside what a sigmoid of each score alone would give.

    Parameters
    ----------
    scores : float
        One score for two classes, or one for each of several.
    weights : list of float
        Start one step earlier, at a neuron's weighted sum of its inputs.
    inputs : list of float
        What the weights are multiplied with.
    bias : float
        What is added to the weighted sum.
    model : Path
        A model of sigmax fit, whose sum for a row is shown term by term.
    row : str
        The row, as FILE:7 for the seventh.
    """
    from sigmax.explain import weighted_sum

    console = Console()
    if model is not None or row is not None:
        if scores or weights or inputs:
            raise InputError("a model makes scores of a row; leave scores, --weights and --inputs away")
        explain_row(console, model, row)
        return
    if weights or inputs:
        if scores:
            raise InputError("give either scores, or --weights and --inputs, from which the score follows")
        z = weighted_sum(weights or [], inputs or [], bias)
        terms = [f"{signed(w)}·{signed(x)}" for w, x in zip(weights or [], inputs or [], strict=True)]
        console.print(f"z = Σ w·x + b = {' + '.join([*terms, signed(bias)])} = [bold]{z:.6g}[/bold]\n", highlight=False)
        scores = (z,)
    if not scores:
        raise InputError("give one score or more, as in: sigmax explain 2.0 1.0 0.1")
    explain_scores(console, scores)
