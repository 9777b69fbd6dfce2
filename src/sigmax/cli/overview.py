"""The commands and what each is for: all that ``sigmax --help`` has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigmax.cli.terminal import Console

__all__ = ["COMMANDS", "SUMMARY", "print_overview"]

SUMMARY = "From scores to probabilities: sigmoid, softmax, odds and log-odds."
# The first sentence of each command's own help, under the heading that it stands below.
COMMANDS = {
    "Understand": {
        "explain": "Show how scores become probabilities, step by step.",
        "explore": "Open a page to play with: odds, logits, sigmoid, softmax, number formats, and your own scores.",
        "plot": "Draw a picture: of the functions, of your scores, or of a score file.",
    },
    "Learn": {
        "fit": "Learn the weights of a logistic regression (two classes) or softmax regression (more) from a table."
    },
    "Score": {
        "calibrate": "Fit a calibrator to labelled score files: what turns the model's scores into probabilities that hold.",
        "score": "Turn files of a classifier's scores into class probabilities.",
    },
    "Judge": {
        "bench": "Time sigmax beside the libraries that are installed: NumPy, SciPy, PyTorch, JAX.",
        "measure": "Measure what the probabilities in labelled score files are worth: whether they hold, by how much they are off, what that costs.",
        "report": "Write a page about a labelled score file: how right the model is, how sure, and where it errs.",
    },
    "Decide": {"decide": "Decide for each row what is expected to cost least, or which classes it may be of."},
}


def print_overview(console: Console) -> None:
    """Print what commands there are."""
    from rich.panel import Panel
    from rich.table import Table

    console.print("[bold]Usage:[/bold] sigmax COMMAND\n", highlight=False)
    console.print(f"{SUMMARY}\n", highlight=False)
    options = {
        "--help (-h)": "Display this message and exit; after a command, its own.",
        "--version": "Display the version.",
    }
    for heading, lines in {**COMMANDS, "Options": options}.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, meaning in lines.items():
            table.add_row(name, meaning)
        console.print(Panel(table, title=heading, title_align="left"))
    console.print("For example: sigmax explain 2.0 1.0 0.1; sigmax score scores.csv --label label", highlight=False)
