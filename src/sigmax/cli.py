"""The command ``sigmax``: scores in a file or on the command line, probabilities out."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import select
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

try:
    import cyclopts
    from cyclopts import Parameter
    from rich import console as rich_console
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as missing:
    sys.exit(f"sigmax: the command needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")

import sigmax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sigmax.tables import Summary

__all__ = ["main"]


class Console(rich_console.Console):
    """A terminal; one whose reader has gone is met where all others are."""

    def on_broken_pipe(self) -> None:
        """Say so to the main program."""
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")


app = cyclopts.App(
    name="sigmax",
    help="From scores to probabilities: sigmoid, softmax, odds and log-odds.",
    version=sigmax.__version__,
    help_format="rst",
    console=Console(),
)


class _Said:
    """Standard error: what it does not take is lost, and changes nothing of how a run ends."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


UNDERSTAND, SCORE, JUDGE = (cyclopts.Group(name, sort_key=i) for i, name in enumerate(("Understand", "Score", "Judge")))
LONGEST = 1000  # characters of an error
STDIN, STDOUT = "/dev/stdin", "/dev/stdout"
Several = Parameter(consume_multiple=True, negative_iterable=())


def _examples(*lines: str) -> str:
    """Return what stands below a command's help."""
    return "Examples:\n\n" + "".join(f"| {line}\n" for line in lines).replace("*", r"\*")


@Parameter(name="*")
@dataclass(frozen=True)
class Csv:
    """
    How CSV files are written, where that is not noticed.

    Parameters
    ----------
    delimiter : str
        What lies between the fields of a CSV file. Default: a comma, semicolon, tab, bar or blank, whichever cuts its lines alike.
    decimal : str
        The decimal mark of a CSV file: . or ,
    thousands : str
        What groups the thousands in its scores, as the comma in 1,234.5.
    header : bool
        Whether its first line names the columns. Default: it does, and a line of numbers there is an error.
    encoding : str
        How its text is encoded, as in latin-1. Default: UTF-8.
    comment : str
        What a line begins with that is passed over. Default: lines with # before the first row are.
    """

    delimiter: str | None = None
    decimal: str = "."
    thousands: str | None = None
    header: bool | None = None
    encoding: str | None = None
    comment: str | None = None

    def dialect(self) -> Any:
        """Return it as the tables take it."""
        from sigmax.tables import Dialect

        return Dialect(**vars(self))


AS_WRITTEN = Csv()


@Parameter(name="*")
@dataclass(frozen=True)
class Scores:
    """
    What of a file are the scores, and what they stand for.

    Parameters
    ----------
    columns : list of str
        Names or globs ('score_*') of the score columns, or the name of one list column. Default: the family of columns that share a
        name but for the class (score_0, score_1, ...; logit_cat, logit_dog), or are named as the values of the label, or are all that
        the file has. Where another numeric column could be a score too, nothing is guessed: the commands to choose from are printed.
    label : str
        The column that holds the true class, called as the columns call it (1, 1.0, "1" and True are one name); by number from 0
        where the scores have no names.
    labels : Path
        A file that holds the true classes, one a row, where the scores' file does not: y.npy beside x.npy.
    kind : {'softmax', 'sigmoid', 'multilabel'}
        softmax: one class of many. sigmoid: one score for two classes. multilabel: a sigmoid for each score.
        Default: one score is a sigmoid, several are a softmax.
    classes : list of str
        Names of the classes, in the order of the scores; for a sigmoid, the negative class first. Default: what tells
        the column names apart.
    temperature : float
        What the scores are divided by: above 1 flattens, below 1 sharpens.
    on_bad : {'null', 'drop', 'fail'}
        What becomes of a row with a score that is missing, NaN, infinite or no number: no probabilities, no row, or an error.
        They are counted, and the first few shown. -inf beside finite scores is an impossible class, and not bad. Default: null,
        but a word among the numbers of a column is an error.
    as_scores : bool
        Take numbers that look like probabilities, percentages or log-probabilities, which are refused, for scores.
    """

    columns: Annotated[list[str] | None, Several] = None
    label: str | None = None
    labels: Path | None = None
    kind: Literal["softmax", "sigmoid", "multilabel"] | None = None
    classes: Annotated[list[str] | None, Several] = None
    temperature: float = 1.0
    on_bad: Literal["null", "drop", "fail"] | None = None
    as_scores: bool = False

    def options(self, csv: Csv) -> dict[str, Any]:
        """Return them as the functions of the tables take them."""
        given = {**vars(self), "columns": self.columns or (), "classes": self.classes or ()}
        return {**given, "dialect": csv.dialect()}


FOUND = Scores()


def main() -> NoReturn:
    """Run the command; an error that the user can mend is one line and exit status 2."""
    _open_streams()
    _end_on_signals()
    try:
        app(_tokens(sys.argv[1:]), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except cyclopts.CycloptsError as error:
        _fail(" ".join(str(error).split()))
    except ValueError as error:  # a TableError among them
        commands = _commands(error)
        _fail(f"{error.reason}; say which columns are the scores:" if commands else str(error), *commands)  # type: ignore[attr-defined]
    except BrokenPipeError:  # whoever read has seen enough
        _drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        _drop_output()
        closed = error.errno == errno.EBADF and error.filename is None
        _fail("standard output is closed" if closed else f"{error.filename or 'output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _open_streams() -> None:
    """Keep the numbers of closed standard streams from the files that are opened; what is written to a closed one is an error or lost."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(
                os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY
            )  # which gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    sys.stderr = _Said(sys.stderr)


def _is_given_up() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop_output() -> None:
    """Write what standard output has still to come, and forget what it does not take: Python would complain of it at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _end_on_signals() -> None:
    """Let the system's wish that this process ends be an exception, so that nothing is left behind."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda got, _frame: sys.exit(128 + got))


def _tokens(arguments: list[str]) -> list[str]:
    """
    Write out what would be taken for options.

    A single - is standard output after -o, else standard input; and names of columns and classes may begin with -, as -1 does.
    """
    found, option, values = [], "", 0
    for word in [*arguments, "--"]:
        is_option = word.startswith("--") or word == "-o"
        if option in ("--columns", "--classes"):
            if not is_option:
                found.append(f"{option}={word}")
                values += 1
                continue
            found += [] if values else [option]  # which says that it has none
        if word == "-":
            found.append(STDOUT if option in ("-o", "--output") else STDIN)
        elif word not in ("--columns", "--classes"):
            found.append(word)
        option, values = word if is_option else "", 0
    return found[:-1]


def _fail(message: str, *lines: str) -> NoReturn:
    """End with an error; what a file holds cannot make more than a line of it, nor steer the terminal."""
    told = message if len(message) <= LONGEST else f"{message[:LONGEST]} ..."
    print(*(plain(line).plain for line in (f"sigmax: {told}", *lines)), sep="\n", file=sys.stderr)
    sys.exit(2)


def _commands(error: ValueError) -> list[str]:
    """Return the commands that say which reading of a file is meant."""
    readings = getattr(error, "readings", [])
    return [f"    {shlex.join(['sigmax', *sys.argv[1:], *reading.options])}" for reading in readings]


@app.command(
    group=SCORE,
    help_epilogue=_examples(
        "sigmax score scores.csv --label label",
        "sigmax score logits.npy --labels y.npy -o probabilities.parquet",
        "sigmax score 'part-*.parquet' --columns 'logit_*' -o results/",
    ),
)
def score(
    *files: str,
    scores: Scores = FOUND,
    csv: Csv = AS_WRITTEN,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    output_format: Literal["csv", "csv.gz", "csv.zst", "parquet", "arrow"] = "csv",
    workers: int | None = None,
    scheduler: str | None = None,
    rows: int = 10,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """
    Turn files of a classifier's scores into class probabilities.

    Prints the first rows and a summary; with ``-o`` writes all rows, with their other columns kept. Several files, a folder or a glob
    are written into a folder; a rerun goes on after what is complete.

    Parameters
    ----------
    files : str
        The scores: .csv, .tsv (.gz, .bz2, .zst), .parquet, .arrow, .feather, .npy, .npz or .safetensors files, folders with such files, globs in quotes,
        or - for standard input.
    output : Path
        Where to write all rows; the ending names the format (.npy: the probabilities alone), - is standard output. A file appears
        when it is complete, or not at all. For several files: a folder.
    output_format : {'csv', 'csv.gz', 'csv.zst', 'parquet', 'arrow'}
        The format on standard output.
    workers : int
        Threads that score. Default: as many as there are cores.
    scheduler : str
        The address of a Dask scheduler (tcp://HOST:PORT) whose workers do the work; they must see the files under the same paths.
    rows : int
        How many of the first rows to print, when nothing is written.
    as_json : bool
        Print the summary as one object of JSON, for programs.
    """
    try:
        from sigmax.tables import score_files
        from sigmax.tables.run import plan_file
        from sigmax.tables.streams import standard_input, standard_output
    except ModuleNotFoundError as missing:
        _fail(f"reading score files needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")
    if not files:
        raise ValueError("name the files to score, as in: sigmax score scores.csv; - is standard input")
    if rows < 0:
        raise ValueError(f"{rows} of the first rows are asked for; give 0 or more")
    if STDIN in files and len(files) > 1:
        raise ValueError("standard input (-) is scored alone, without other files")

    begin = time.perf_counter()
    written = output if output != Path(STDOUT) else None
    to_stdout = output is not None and written is None
    with contextlib.ExitStack() as stack:
        sources: list[str | Path] = (
            [stack.enter_context(standard_input(lambda path: plan_file(path, **scores.options(csv)), _is_given_up))]
            if files == (STDIN,)
            else list(files)
        )
        target = stack.enter_context(standard_output(output_format)) if to_stdout else written
        progress = stack.enter_context(_progress(Path(files[0]).name if len(files) == 1 else f"{len(files)} sources"))
        summary = score_files(
            sources[0] if len(sources) == 1 else sources,
            target,
            **scores.options(csv),
            workers=workers,
            scheduler=scheduler,
            head=rows if output is None and not as_json else 0,
            progress=progress,
        )
    seconds = time.perf_counter() - begin
    if as_json:
        pace = {
            "seconds": seconds,
            "rows_per_second": summary.rows / seconds,
            "output": None if output is None else str(output),
        }
        print(
            json.dumps({**summary.figures(), **pace}, ensure_ascii=False), file=sys.stderr if to_stdout else sys.stdout
        )
        return
    console = Console(stderr=to_stdout)
    if output is None and summary.head:
        console.print(_head_table(summary, console.width))
    console.print(_summary_table(summary))
    _warn(summary)
    for bad in summary.bad_rows:
        console.print(plain(f"{bad.file}, row {bad.row}: {bad.reason}: {bad.values}"), style="yellow")
    if written is not None:
        told = f"in {seconds:.2f} s, {summary.rows / seconds:,.0f} rows a second"
        console.print(plain(f"Wrote {summary.written:,} rows to {written} {told}"), soft_wrap=True)


def _say_how(summary: Summary) -> None:
    """Print what of a file was taken for what, where it is not the answer itself, and what makes that doubtful."""
    Console().print(plain("; ".join(f"{name}: {value}" for name, value in _understood(summary))), soft_wrap=True)
    _warn(summary)


def _warn(summary: Summary) -> None:
    """Print what makes the answer doubtful."""
    console = Console(stderr=True)
    for warning in summary.warnings:
        console.print(plain(f"Warning: {warning}"), style="bold yellow", soft_wrap=True)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on the terminal; nothing where the errors go to a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.0001" if 0 < value < 0.00005 else ">0.9999" if 0.99995 <= value < 1 else f"{value:.4f}"


def _head_table(summary: Summary, width: int) -> Table:
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


def plain(text: str) -> Text:
    """Return a user's text as it is: no markup, no emoji, and no character that steers the terminal."""
    return Text("".join(c if c.isprintable() else " " if c in "\t\n" else f"\\x{ord(c):02x}" for c in text))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "" if value is None else str(value)


def _understood(summary: Summary) -> list[tuple[str, str]]:
    """Say what of a file was taken for what."""
    plan = summary.plan
    names = plan.classes if len(plan.classes) <= 12 else [*plan.classes[:5], "...", *plan.classes[-2:]]
    lines = [
        ("scores", _span(plan.columns) + (f", divided by {plan.temperature:g}" if plan.temperature != 1 else "")),
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


def _summary_table(summary: Summary) -> Table:
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


@app.command(
    group=UNDERSTAND,
    help_epilogue=_examples(
        "sigmax explain 2.0 1.0 0.1", "sigmax explain --weights 0.4 -1.2 --inputs 3 0.5 --bias 0.1"
    ),
)
def explain(
    *scores: float,
    weights: Annotated[list[float] | None, Several] = None,
    inputs: Annotated[list[float] | None, Several] = None,
    bias: float = 0.0,
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
    """
    from sigmax.explain import weighted_sum

    console = Console()
    if weights or inputs:
        if scores:
            raise ValueError("give either scores, or --weights and --inputs, from which the score follows")
        z = weighted_sum(weights or [], inputs or [], bias)
        terms = [f"{_signed(w)}·{_signed(x)}" for w, x in zip(weights or [], inputs or [], strict=True)]
        console.print(
            f"z = Σ w·x + b = {' + '.join([*terms, _signed(bias)])} = [bold]{z:.6g}[/bold]\n", highlight=False
        )
        scores = (z,)
    if not scores:
        raise ValueError("give one score or more, as in: sigmax explain 2.0 1.0 0.1")
    bad = [x for x in scores if x != x]
    if bad:
        raise ValueError("a score is nan; scores are real numbers")
    if len(scores) == 1:
        _explain_two(console, scores[0])
    else:
        _explain_many(console, scores)


@app.command(group=JUDGE, help_epilogue=_examples("sigmax bench --only 'softmax float32'"))
def bench(*, only: str = "", threads: int = 1, rounds: int = 15, level: str = "") -> None:
    """
    Time sigmax beside the libraries that are installed: NumPy, SciPy, PyTorch, JAX.

    Each line shows nanoseconds per element, how many times as long each library takes (the median of rounds in which all take
    turns), and the largest error of each in units in the last place; 0.5 is perfect rounding.

    Parameters
    ----------
    only : str
        Lines that contain this, as in 'softmax float32'.
    threads : int
        Cores that every library may use.
    rounds : int
        Rounds to take the median of.
    level : str
        The CPU level that all libraries keep to, so that a newer CPU shows what an older one would: v3 (AVX2) or v4 (AVX-512).
        JAX, NumPy, PyTorch and sigmax each have a setting for it.
    """
    from sigmax import bench as benchmark

    benchmark.use_level(level)
    chosen = [cell for cell in benchmark.cells() if only in str(cell)]
    if not chosen or rounds < 1:
        raise ValueError(f"nothing to measure: only '{only}' of {len(benchmark.cells())} cells, {rounds} rounds")
    benchmark.use_cores(threads)
    print(benchmark.setting(threads), benchmark.table_head(), sep="\n")
    for cell in chosen:
        print(benchmark.table_line(benchmark.measure(cell, rounds)), flush=True)


Picture = Literal["sigmoid", "odds", "softmax", "sigmoid-each", "temperature", "accuracy", "confidence", "reliability"]


@app.command(
    group=UNDERSTAND,
    help_epilogue=_examples(
        "sigmax plot softmax 2.0 1.0 0.1 --classes cat dog fox -o softmax.svg",
        "sigmax plot reliability scores.csv --label label -o reliability.png",
    ),
)
def plot(
    name: Picture,
    /,
    *values: str,
    output: Annotated[Path, Parameter(alias="-o")],
    scores: Scores = FOUND,
    csv: Csv = AS_WRITTEN,
    dark: bool = False,
    scale: float = 2.0,
) -> None:
    """
    Draw a picture: of the functions, of your scores, or of a score file.

    sigmoid [LOGIT], odds [PROBABILITY], and softmax, sigmoid-each and temperature [SCORES] explain; accuracy shows where textbook
    formulas go wrong; confidence FILE and reliability FILE --label COLUMN show what a model's probabilities are worth.

    Parameters
    ----------
    name : str
        Which picture.
    values : str
        The numbers or the score file to draw.
    output : Path
        Where to write it; the ending names the format: .png, .svg, .pdf or .html, which opens without network.
    dark : bool
        Draw for a dark page.
    scale : float
        Pixels of a .png for each pixel of the picture.
    """
    try:
        from sigmax import plots
    except ModuleNotFoundError as missing:
        _fail(f"pictures need '{missing.name}'; install it with: pip install 'sigmax[plot]'")

    plots.check_ending(output)
    if name in ("confidence", "reliability"):
        if len(values) != 1:
            raise ValueError(f"give one score file, as in: sigmax plot {name} scores.csv --label label -o {output}")
        if name == "reliability" and scores.label is None and scores.labels is None:
            raise ValueError(
                "a reliability diagram needs the true classes: name their column with --label, or their file with --labels"
            )
        from sigmax.tables import score_file

        with _progress(values[0]) as progress:
            summary = score_file(
                Path(values[0]),
                **scores.options(csv),
                head=0,
                progress=progress,
            )
        _say_how(summary)
        chart = (
            plots.reliability_chart(summary.reliability, summary.calibration_error)
            if name == "reliability"
            else plots.confidence_chart(summary.by_confidence)
        )
    else:
        told = [
            option for option in ("columns", "label", "labels", "kind", "on_bad") if getattr(scores, option) is not None
        ]
        if told:
            raise ValueError(f"'{name}' draws numbers; --{told[0].replace('_', '-')} is for pictures of a score file")
        chart = _picture(plots, name, _numbers(values), scores.classes, scores.temperature)
    plots.save(plots.on_dark(chart) if dark else chart, output, scale=scale)
    Console().print(plain(f"Wrote {output}"), soft_wrap=True)


@app.command(group=JUDGE, help_epilogue=_examples("sigmax report scores.csv --label label -o report.html"))
def report(
    file: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    scores: Scores = FOUND,
    csv: Csv = AS_WRITTEN,
    worst: int = 20,
) -> None:
    """
    Write a page about a labelled score file: how right the model is, how sure, and where it errs.

    One file of HTML, which opens without network: accuracy, log-loss, Brier score, calibration, figures by class, the confusion
    matrix and the worst rows.

    Parameters
    ----------
    file : Path
        The scores: .csv, .parquet, .arrow, .feather, .npy, .npz or .safetensors.
    output : Path
        The page to write, ending in .html.
    worst : int
        How many of the rows with the largest loss to show.
    """
    try:
        from sigmax.report import write_report
    except ModuleNotFoundError as missing:
        _fail(f"a report needs '{missing.name}'; install it with: pip install 'sigmax[cli,plot]'")

    with _progress(file.name) as progress:
        summary = write_report(
            file,
            output,
            **scores.options(csv),
            worst=worst,
            progress=progress,
        )
    _say_how(summary)
    Console().print(plain(f"Wrote a report on {summary.rows:,} rows to {output}"), soft_wrap=True)


@app.command(group=UNDERSTAND, help_epilogue=_examples("sigmax explore", "sigmax explore scores.csv --label label"))
def explore(
    file: Path | None = None,
    /,
    *,
    label: str | None = None,
    columns: Annotated[list[str] | None, Several] = None,
    classes: Annotated[list[str] | None, Several] = None,
    as_scores: bool = False,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    edit: bool = False,
) -> None:
    """
    Open a page to play with: odds, logits, sigmoid, softmax, number formats, and your own scores.

    Serves until it is interrupted. Nothing is fetched from other hosts, and no file leaves this machine: the page opens with a random
    token alone, and answers no other site.

    Parameters
    ----------
    file : Path
        A score file to look at: .csv, .parquet, .arrow, .feather, .npy, .npz or .safetensors.
    label : str
        The column of the file that holds the true class.
    columns : list of str
        Names or globs of the score columns. Default: the one family of columns that can be meant, as for score.
    classes : list of str
        Names of the classes, in the order of the scores; for a sigmoid, the negative class first.
    as_scores : bool
        Take numbers that look like probabilities, percentages or log-probabilities, which are refused, for scores.
    host : str
        The address to serve at. Whoever opens the page needs the token that the printed address carries, from this machine too.
    port : int
        The port to serve at. Default: a free one.
    browser : bool
        Open a browser.
    edit : bool
        Show how each number is made: a copy of the page with its code, which you may change.
    """
    import importlib.util
    import shutil
    import socket
    import tempfile

    if importlib.util.find_spec("marimo") is None or importlib.util.find_spec("altair") is None:
        _fail("the page needs 'marimo'; install it with: pip install 'sigmax[explore]'")
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"the port is {port}; it must be from 1 to 65535")
    if file is not None:
        from sigmax.tables.files import format_of

        format_of(file)
        with file.open("rb"):  # a wrong name is told here, not in the page
            pass
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            raise ValueError(f"cannot serve at {host}:{port or 'any port'}: {error.strerror or error}") from None
        port = probe.getsockname()[1]
    page = Path(__file__).parent / "explore.py"
    if edit:
        page = Path(shutil.copy(page, tempfile.mkdtemp(prefix="sigmax-explore-")))
    options = [
        ("--file", str(file.resolve()) if file else None),
        ("--label", label),
        ("--columns", ",".join(columns or ()) or None),
        ("--classes", ",".join(classes or ()) or None),
        ("--as-scores", "yes" if as_scores else None),
    ]
    told = [word for name, value in options if value is not None for word in (name, value)]
    mode, opened = "edit" if edit else "run", "browser" if browser else "none"
    sys.stdout.flush()
    # in place of this process, so that who ends it ends the page
    os.execv(  # noqa: S606
        sys.executable, [sys.executable, "-m", "sigmax.door", mode, str(page), host, str(port), opened, *told]
    )


def _numbers(values: Sequence[str]) -> list[float]:
    found = []
    for word in values:
        try:
            found.append(float(word))
        except ValueError:
            raise ValueError(f"'{word}' is not a number; this picture draws numbers") from None
    return found


def _picture(plots: Any, name: str, numbers: list[float], classes: list[str] | None, temperature: float) -> Any:
    """Draw one of the pictures that explain."""
    one = {"sigmoid": plots.sigmoid_curve, "odds": plots.odds_and_log_odds}
    if name in one:
        if len(numbers) > 1:
            raise ValueError(f"'{name}' marks one number; there are {len(numbers)}")
        return one[name](*numbers)
    if name == "accuracy":
        if numbers:
            raise ValueError("'accuracy' takes no numbers")
        return plots.formula_errors()
    scores = numbers or [2.0, 1.0, 0.1]
    if name == "softmax":
        return plots.softmax_bars(scores, classes, temperature=temperature)
    return {"sigmoid-each": plots.sigmoid_each, "temperature": plots.temperature_curves}[name](scores, classes)


def _signed(x: float) -> str:
    return f"{x:g}" if x >= 0 else f"(-{-x:g})"


def _explain_two(console: Console, logit: float) -> None:
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
    table.add_row("probability", f"{seen.probability:.6g}", "P(Y=1) = odds / (1 + odds) = 1 / (1 + e^-x), the sigmoid")
    table.add_row("complement", f"{seen.complement:.6g}", "P(Y=0) = 1 / (1 + odds), the sigmoid of -x")
    console.print(table)


def _aligned(values: Sequence[float]) -> list[str]:
    """Return numbers with as many decimals each, six digits for the largest; as they are where that would lose a small one."""
    plain = [f"{v:.6g}" for v in values]
    size = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    short = max(len(text.partition(".")[2]) for text in plain)
    decimals = min(short, max(0, 5 - math.floor(math.log10(size)))) if size else 0
    lost = decimals < short and any(0 < abs(v) < 100 * 10.0**-decimals for v in values)
    return plain if lost or any("e" in text for text in plain) else [f"{v:.{decimals}f}" for v in values]


def _explain_many(console: Console, scores: Sequence[float]) -> None:
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
        table.add_row(str(k), *cells)
    console.print(table)
    console.print(
        f"A sigmoid of each score answers each class by itself, yes or no: the answers add up to {alone:.4g}, not to 1. "
        "The softmax divides each class's odds by the sum of all: one whole, shared out.",
        highlight=False,
    )
