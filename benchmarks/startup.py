"""
What starting costs: ``python -m benchmarks startup``, and ``--wheel FILE`` for installing one (``bash .ci/wheel FOLDER`` makes it).

The import and the command beside ``python -c 'import numpy'``, in turns, medians of the ratios; and pip's installation of the wheel
into bare environments with the first score after it, where NumPy has to be installed too and where it is there. It writes the
lines of docs/howto/install.md that it has measured, and ends with status 1 beyond a bar.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import marks
from sigmax.bench.speed import cpu_name

__all__ = ["main"]

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "install.md"
IMPORT, COMMAND, INSTALL = 0.030, 1.5, 5.0  # seconds over NumPy's; times NumPy's; seconds
ROUNDS, INSTALLS = 41, 5
SCORE = "import sigmax; print(sigmax.softmax([2.0, 1.0, 0.1]))"


def main(wheel: str | None = None) -> None:
    """Measure, and write down what was found."""
    missed = _starts()
    if wheel is not None:
        missed += _installs(wheel)
    if missed:
        sys.exit(f"beyond the bar: {', '.join(missed)}")


def _seconds(*command: str) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _starts() -> list[str]:
    sigmax = shutil.which("sigmax")
    if sigmax is None:
        sys.exit("no command sigmax: pip install '.[cli]'")
    python = sys.executable
    commands = {
        "python -c 'import numpy'": (python, "-c", "import numpy"),
        "python -c 'import sigmax'": (python, "-c", "import sigmax"),
        "sigmax --help": (sigmax, "--help"),
        "sigmax explain 2.0 1.0 0.1": (sigmax, "explain", "2.0", "1.0", "0.1"),
    }
    rounds = [[_seconds(*command) for command in commands.values()] for _ in range(ROUNDS + 1)][1:]
    base, library, *shown = commands
    over = statistics.median(row[1] - row[0] for row in rounds)
    times = [statistics.median(column) for column in zip(*rounds, strict=True)]
    ratios = [statistics.median(row[k] / row[0] for row in rounds) for k in range(2, len(commands))]
    lines = [
        "| what | ms | beside NumPy's import | bar |",
        "|---|---:|---:|---:|",
        f"| `{base}` | {times[0] * 1e3:.0f} | | |",
    ]
    lines.append(f"| `{library}` | {times[1] * 1e3:.0f} | {over * 1e3:+.0f} ms | +{IMPORT * 1e3:.0f} ms |")
    for name, seconds, ratio in zip(shown, times[2:], ratios, strict=True):
        lines.append(f"| `{name}` | {seconds * 1e3:.0f} | {ratio:.2f} x | {COMMAND} x |")
    _write("starts", lines)
    return [library] * (over > IMPORT) + [name for name, ratio in zip(shown, ratios, strict=True) if ratio > COMMAND]


def _installs(wheel: str) -> list[str]:
    """Install into bare environments; what pip fetches it has in its cache after the round that does not count."""
    bare: list[float] = []
    beside: list[float] = []
    alone: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(INSTALLS + 1):
            for kind, taken in (("bare", bare), ("numpy", beside)):
                environment = Path(folder) / f"{kind}{k}"
                subprocess.run([sys.executable, "-m", "venv", environment], check=True)
                pip = (
                    str(environment / "bin" / "python"),
                    "-m",
                    "pip",
                    "--quiet",
                    "--disable-pip-version-check",
                    "install",
                )
                if kind == "numpy":
                    alone.append(_seconds(*pip, "numpy"))
                taken.append(_seconds(*pip, wheel) + _seconds(pip[0], "-c", SCORE))
                shutil.rmtree(environment)
    found = {
        "`pip install sigmax-*.whl` and the first score, NumPy installed with it": bare,
        "the same where NumPy is there": beside,
        "`pip install numpy` alone": alone,
    }
    seconds = {name: statistics.median(taken[1:]) for name, taken in found.items()}
    bars = [f"{INSTALL:.0f}", f"{INSTALL:.0f}", ""]
    lines = ["| what | s | bar |", "|---|---:|---:|"]
    lines += [f"| {name} | {s:.1f} | {bar} |" for (name, s), bar in zip(seconds.items(), bars, strict=True)]
    _write("installs", lines)
    return [name for (name, s), bar in zip(seconds.items(), bars, strict=True) if bar and s > INSTALL]


def _write(part: str, lines: list[str]) -> None:
    text = "\n".join([*lines, "", f"{cpu_name()}."])
    print(text)
    PAGE.write_text(marks.put(PAGE.read_text(), part, text))
