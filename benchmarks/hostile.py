"""
Damaged score files against the command: ``python -m benchmarks hostile [--files 1000] [--seed 0]``.

Good files of every format are damaged by a seeded generator (flipped bits, cut, filled, doubled, grown, their numbers and words changed), and
given to ``score``, ``score -o``, ``report`` and ``plot``. Each run has to end within ten seconds with the right status: 0, or 2 with one
line that begins with ``sigmax:`` (and commands to choose from), no traceback and no character that steers a terminal. A signal, a hang and
anything else is printed with the seed that makes it again; ends with status 1 if there was one.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COMMANDS", "damaged", "good_files", "main", "verdict"]

SECONDS = 10
COMMANDS = {
    "score": ["score", "{file}", "--label", "label", "--columns", "{columns}"],
    "found": ["score", "{file}"],
    "write": ["score", "{file}", "-o", "{folder}/out.parquet", "--on-bad", "null", "--columns", "{columns}"],
    "report": ["report", "{file}", "--label", "label", "-o", "{folder}/out.html", "--columns", "{columns}"],
    "plot": ["plot", "confidence", "{file}", "-o", "{folder}/out.svg", "--columns", "{columns}"],
}
RARE = {"report": 5, "plot": 10}  # one file in so many: drawing takes its time
_WORDS = [
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"",
    b"x",
    b"1,5",
    b"\x1b[31m",
    b"[/red]",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"\r",
    b"99999999999999999999",
]


def good_files() -> dict[str, bytes]:
    """Return a file of every format."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)) * 3
    table = pa.table(
        {
            "id": [f"row {i}" for i in range(120)],
            **{f"s_{c}": x[:, k] for k, c in enumerate("abc")},
            "label": [None if i % 17 == 0 else "abc"[k] for i, k in enumerate(x.argmax(axis=1))],
        }
    )

    def written(write: Callable[[Any], Any]) -> bytes:
        sink = io.BytesIO()
        write(sink)
        return sink.getvalue()

    def ipc(make: Any) -> bytes:
        sink = io.BytesIO()
        with make(sink, table.schema) as writer:
            for batch in table.to_batches(50):
                writer.write_batch(batch)
        return sink.getvalue()

    csv = written(lambda sink: pa.csv.write_csv(table, sink))
    header = json.dumps({"s": {"dtype": "F64", "shape": [120, 3], "data_offsets": [0, 2880]}}).encode()
    return {
        "csv": csv,
        "tsv": csv.replace(b",", b"\t"),
        "csv.gz": gzip.compress(csv),
        "csv.bz2": bz2.compress(csv),
        "csv.zst": pa.compress(csv, "zstd", asbytes=True),
        "parquet": written(lambda sink: pq.write_table(table, sink, row_group_size=50)),
        "arrow": ipc(pa.ipc.new_file),
        "ipc": ipc(pa.ipc.new_stream),
        "feather": written(lambda sink: pa.feather.write_feather(table, sink, compression="lz4")),
        "npy": written(lambda sink: np.save(sink, x)),
        "npz": written(lambda sink: np.savez_compressed(sink, s=x, label=x.argmax(axis=1))),
        "safetensors": len(header).to_bytes(8, "little") + header + x.tobytes(),
    }


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Return a file with one to three injuries."""
    found = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        size = max(len(found), 1)
        # the beginning and the end hold the headers
        at = draw.choice(
            [draw.randrange(size), draw.randrange(min(size, 64)), max(0, size - 1 - draw.randrange(min(size, 256)))]
        )
        length = draw.choice([1, 2, 4, 8, 100])
        kind = draw.randrange(8)
        if kind == 0:
            for _ in range(draw.choice([1, 1, 3, 50])):
                where = draw.randrange(size) if length > 8 else at
                if where < len(found):
                    found[where] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del found[at:]
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at : at + length] = draw.choice([b"\x00", b"\xff", b"\x80", b"\x7f"]) * length
        elif kind == 4:
            found[at:at] = found[at : at + 10 * length]
        elif kind == 5:
            found[at:at] = draw.randbytes(length)
        elif kind == 6:
            found[at : at + draw.choice([0, 3])] = draw.choice(_WORDS)
        else:
            found += draw.randbytes(length)
    return bytes(found)


def cases(seed: int, files: int) -> Iterator[tuple[int, str, bytes, list[str]]]:
    """Return each damaged file with its number, its format and the commands that it is given to."""
    number = 0
    for name, data in good_files().items():
        for i in range(files):
            draw = random.Random(f"{seed} {name} {i}")
            yield number, name, damaged(data, draw), [c for c in COMMANDS if i % RARE.get(c, 1) == 0]
            number += 1


def verdict(status: int, printed: str, said: str) -> str:
    """Return what is wrong with how a run ended; '' if nothing is."""
    if status not in (0, 2):
        return f"status {status}"
    if "Traceback" in said or "Exception ignored" in said:
        return "a traceback"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", printed + said):
        return "a character that steers the terminal"
    lines = said.splitlines()
    if status == 2 and not (
        lines and lines[0].startswith("sigmax: ") and all(line.startswith("    sigmax ") for line in lines[1:])
    ):
        return "no single line"
    if status == 0 and any(not line.startswith(("Warning: ",)) for line in lines):
        return "an error and status 0"
    return ""


def worker(seed: int, files: int, first: int, last: int) -> None:
    """Give the files with these numbers to the commands in this process, and print how each ends, a line of JSON each."""
    answer = os.fdopen(os.dup(1), "w")
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    for number, name, data, commands in cases(seed, files):
        if not first <= number < last:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"x.{name}")
            file.write_bytes(data)
            columns = "s" if name in ("npz", "safetensors") else "score" if name == "npy" else "s_*"
            for command in commands:
                words = [w.format(file=file, folder=folder, columns=columns) for w in COMMANDS[command]]
                print(json.dumps([number, name, command]), file=answer, flush=True)
                ended = _run(words, folder)
                print(json.dumps(verdict(*ended) and [verdict(*ended), ended[2][-400:]]), file=answer, flush=True)


def _run(words: list[str], folder: str) -> tuple[int, str, str]:
    """Run the command here, as the main module of a process would be."""
    for number in (1, 2):
        into = os.open(Path(folder, f"stream{number}"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(into, number)
        os.close(into)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
    sys.argv = ["sigmax", *words]
    status: Any = 0
    try:
        runpy.run_module("sigmax", run_name="__main__")
    except SystemExit as end:
        status = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # what would be a traceback
        status = 1
        print("Traceback", repr(error), file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    printed, said = (Path(folder, f"stream{n}").read_bytes().decode("utf-8", "replace") for n in (1, 2))
    return status, printed, said


def watched(seed: int, files: int, first: int, last: int) -> Iterator[str]:
    """Run a worker over these files, again after each that ends it, and return what went wrong, a line each."""
    while first < last:
        words = [
            sys.executable,
            "-c",
            f"from benchmarks.hostile import worker; worker({seed}, {files}, {first}, {last})",
        ]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        at: list[Any] = []
        while True:
            timer = threading.Timer(SECONDS + (20 if not at else 0), process.kill)
            timer.start()
            line = process.stdout.readline() if process.stdout else ""
            timer.cancel()
            if not line:
                break
            found = json.loads(line)
            if found and isinstance(found[0], int):
                at = found
            elif found:
                yield f"{at}: {found[0]}: {found[1]}"
        if process.stdout:
            process.stdout.close()
        status = process.wait()
        if status == 0:
            return
        if not at:
            raise RuntimeError(f"the worker ended with status {status} before the first file")
        told = "it took too long" if status == -signal.SIGKILL else f"status {status}"
        yield f"{at}: {told}"
        first = at[0] + 1


def main(files: int = 1000, seed: int = 0) -> None:
    """Damage so many files of each format, and print what is wrong with how the commands end on them."""
    total = files * len(good_files())
    workers = len(os.sched_getaffinity(0))
    bounds = [total * i // workers for i in range(workers + 1)]
    problems: list[str] = []

    def run(i: int) -> None:
        for problem in watched(seed, files, bounds[i], bounds[i + 1]):
            problems.append(problem)
            print(f"    seed {seed} {problem}", flush=True)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{total:,} damaged files of {len(good_files())} formats: {len(problems)} ended badly")
    if problems:
        sys.exit(1)
