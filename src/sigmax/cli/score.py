"""``sigmax score``: files of scores into files of probabilities."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sigmax.cli.app import FOUND, SCORE, Asked, app, examples
from sigmax.cli.shown import head_table, summary_table, warn
from sigmax.cli.streams import is_given_up
from sigmax.cli.terminal import STDIN, STDOUT, Console, fail, plain, progress_bar
from sigmax.errors import InputError

__all__ = ["score"]


@app.command(
    group=SCORE,
    help_epilogue=examples(
        "sigmax score scores.csv --label label",
        "sigmax score logits.npy --labels y.npy -o probabilities.parquet",
        "sigmax score 'part-*.parquet' --columns 'logit_*' -o results/",
    ),
)
def score(
    *files: str,
    job: Asked = FOUND,
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
        from sigmax.tables.many import plan_file
        from sigmax.tables.standard import standard_input, standard_output
    except ModuleNotFoundError as missing:
        fail(f"reading score files needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")
    if not files:
        raise InputError("name the files to score, as in: sigmax score scores.csv; - is standard input")
    if rows < 0:
        raise InputError(f"{rows} of the first rows are asked for; give 0 or more")
    if STDIN in files and len(files) > 1:
        raise InputError("standard input (-) is scored alone, without other files")

    begin = time.perf_counter()
    written = output if output != Path(STDOUT) else None
    to_stdout = output is not None and written is None
    with contextlib.ExitStack() as stack:
        sources: list[str | Path] = (
            [stack.enter_context(standard_input(lambda path: plan_file(path, job), is_given_up))]
            if files == (STDIN,)
            else list(files)
        )
        target = stack.enter_context(standard_output(output_format)) if to_stdout else written
        progress = stack.enter_context(
            progress_bar(Path(files[0]).name if len(files) == 1 else f"{len(files)} sources")
        )
        summary = score_files(
            sources[0] if len(sources) == 1 else sources,
            target,
            job,
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
        console.print(head_table(summary, console.width))
    console.print(summary_table(summary))
    warn(summary.warnings)
    for bad in summary.bad_rows:
        console.print(plain(f"{bad.file}, row {bad.row}: {bad.reason}: {bad.values}"), style="yellow")
    if written is not None:
        told = f"in {seconds:.2f} s, {summary.rows / seconds:,.0f} rows a second"
        console.print(plain(f"Wrote {summary.written:,} rows to {written} {told}"), soft_wrap=True)
