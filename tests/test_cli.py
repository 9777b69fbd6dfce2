"""The command, as a process: what it prints, what it writes, how it ends."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import run as sigmax_command

import sigmax


def printed(*arguments):
    done = sigmax_command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def refused(*arguments):
    done = sigmax_command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("sigmax: ")
    return done.stderr


def test_score_prints_the_first_rows_and_a_summary(examples):
    text = printed("score", examples / "digits_scores.csv", "--label", "label")
    assert "The first 10 of 719 rows" in text
    assert "digit-0856" in text
    for line in (
        "rows             719",
        "accuracy         0.9791 of 719",
        "log-loss         0.0741",
        "mean confidence  0.9758",
        "not scored       0",
    ):
        assert line in text


def test_score_of_two_classes(examples):
    text = printed(
        "score",
        examples / "breast_cancer_scores.csv",
        "--label",
        "diagnosis",
        "--classes",
        "malignant",
        "benign",
        "--columns",
        "margin",
        "--rows",
        3,
    )
    assert "p_malignant" in text
    assert "The first 3 of 285 rows" in text
    assert "accuracy         0.9754" in text
    assert "2 by sigmoid: malignant, benign" in text


def test_score_writes_a_file(examples, tmp_path):
    target = tmp_path / "p.parquet"
    text = printed("score", examples / "digits_scores.parquet", "--label", "label", "--temperature", 2, "-o", target)
    assert "Wrote 719 rows" in text
    assert "digit-0856" not in text
    p = pq.read_table(target)
    x = pq.read_table(examples / "digits_scores.parquet")
    scores = np.column_stack([x[f"score_{k}"].to_numpy() for k in range(10)])
    np.testing.assert_array_equal(
        np.column_stack([p[f"p_{k}"].to_numpy() for k in range(10)]), sigmax.softmax(scores, temperature=2.0)
    )
    assert p["row"] == x["row"]


def test_columns_by_glob_on_the_command_line(examples):
    assert "score_0, score_1, score_2" in printed("score", examples / "digits_scores.csv", "--columns", "score_[012]")
    assert "score_7, score_9" in printed("score", examples / "digits_scores.csv", "--columns", "score_7", "score_9")


def test_errors_are_one_line_and_status_2(examples, tmp_path):
    digits = examples / "digits_scores.csv"
    assert "no such file" in refused("score", tmp_path / "none.csv")
    assert "did you mean 'score_1'?" in refused("score", digits, "--columns", "scroe_1")
    assert "'row' is string, not numeric" in refused("score", digits, "--columns", "row")
    assert "is the input" in refused("score", digits, "--label", "label", "-o", digits)
    assert "unknown ending '.xls'" in refused("score", digits, "--label", "label", "-o", tmp_path / "p.xls")
    assert "Unknown option" in refused("score", digits, "--wrong")
    assert "unable to convert" in refused("explain", "abc")
    assert "give one score or more" in refused("explain")
    assert "2 weights and 1 inputs" in refused("explain", "--weights", 1, 2, "--inputs", 3)
    assert "nan" in refused("explain", "nan", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_could_be_read_in_two_ways_prints_the_commands(examples):
    done = sigmax_command("score", "digits_scores.csv", "--rows", 3, cwd=examples)
    assert (done.returncode, done.stdout) == (2, "")
    said, command = done.stderr.splitlines()
    assert said == "sigmax: 'label' is numeric and not one of 'score_*'; say which columns are the scores:"
    assert command == "    sigmax score digits_scores.csv --rows 3 --label label --columns 'score_*'"
    done = sigmax_command(*shlex.split(command)[1:], cwd=examples)
    assert "accuracy         0.9791 of 719" in done.stdout, done.stderr
    assert "left out         row (string)" in done.stdout


def test_a_doubtful_answer_is_warned_of(tmp_path):
    (tmp_path / "s.csv").write_text("z_a,z_b,y\n" + "3,1,b\n1,2,a\n5,1.5,b\n" * 5)
    done = sigmax_command("score", "s.csv", "--label", "y", cwd=tmp_path)
    assert done.returncode == 0
    assert "Warning: the accuracy of 0.0000 is no better than always saying 'b' (0.6667)" in done.stderr


def test_how_a_csv_file_is_written_can_be_said(tmp_path):
    (tmp_path / "s.csv").write_text("1.000,5~2,5\n-3,5~1\n")
    words = ["score", "s.csv", "--no-header", "--decimal", ",", "--thousands", ".", "--delimiter", "~"]
    done = sigmax_command(*words, "-o", "p.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    p = [[float(word) for word in line.split(",")[:2]] for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    assert p == sigmax.softmax([[1000.5, 2.5], [-3.5, 1.0]]).tolist()
    assert "decimal mark is ';'" in refused("score", tmp_path / "s.csv", "--decimal", ";")


def test_wrong_options_are_one_line(examples, tmp_path):
    digits = [examples / "digits_scores.csv", "--label", "label"]
    for words, said in [
        (["report", *digits, "-o", tmp_path / "r.html", "--worst", "-1"], "-1 of the worst rows"),
        (["explore", "--port", "99999999"], "the port is 99999999; it must be from 1 to 65535"),
        (["plot", "sigmoid", "1", "-o", tmp_path / "p.png", "--scale", "0"], "the scale is 0; it must be above 0"),
        (["plot", "sigmoid", "1", "-o", tmp_path / "p.png", "--scale", "1e9"], "the scale is 1e+09"),
        (["score", ""], "the name of a file is empty"),
    ]:
        assert said in refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_one_line(examples, tmp_path):
    tmp_path.joinpath("file").touch()
    assert "no folder" in refused(
        "score", examples / "digits_scores.csv", "--label", "label", "-o", tmp_path / "file" / "p.csv"
    )


def test_explain_many():
    text = printed("explain", "2.0", "1.0", "0.1")
    for number in ("7.38906", "0.659001", "0.880797", "0.242433", "2.13683", "11.2125"):
        assert number in text
    assert "add up to 2.137, not to 1" in text


@pytest.mark.parametrize(
    ("scores", "cells"),
    [
        ([2, 1, 0.1], [["2.0", "1.0", "0.1"], ["7.38906", "2.71828", "1.10517"], ["0.659001", "0.242433", "0.098566"]]),
        (
            [-3, 20, 0.25],
            [["-3.00", "20.00", "0.25"], ["0.0497871", "4.85165e+08", "1.28403"], ["1.02619e-10", "1", "2.64657e-09"]],
        ),
        ([1000, 1], [["1000", "1"], ["inf", "2.71828"], ["1", "0"]]),
    ],
)
def test_the_digits_of_a_column_stand_under_each_other(scores, cells):
    rows = [
        re.split(r"\s*│\s*", line.strip("│ "))
        for line in printed("explain", "--", *scores).splitlines()
        if re.match(r"│ \d", line)
    ]
    assert [list(c) for c in zip(*rows, strict=True)][1:4] == cells


def test_explain_two():
    text = printed("explain", "0.4")
    for number in ("1.49182", "about 3 : 2", "0.598688", "0.401312"):
        assert number in text
    assert "= 3 : 8" in printed("explain", "-0.98083")


def test_explain_a_neuron():
    text = printed("explain", "--weights", "0.4", "-1.2", "--inputs", "1", "0.5", "--bias", "0.1")
    assert "z = Σ w·x + b = 0.4·1 + (-1.2)·0.5 + 0.1 = -0.1" in text
    assert "0.475021" in text


def test_help_says_what_the_docstrings_say():
    assert "explain" in printed("--help")
    text = printed("score", "--help")
    for option in ("--columns", "--label", "--kind", "--temperature", "--output", "-o", "--classes"):
        assert option in text
    assert printed("--version").strip() == sigmax.__version__


@pytest.mark.parametrize("tty", [True, False])
def test_a_progress_bar_on_a_terminal_only(tty, tmp_path):
    source = big_file(tmp_path, 400_000)
    command = [sys.executable, "-m", "sigmax", "score", str(source), "-o", str(tmp_path / "p.parquet")]
    if tty:
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=follower, env={**os.environ, "TERM": "xterm"}
        )
        os.close(follower)
        seen = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(leader)
        assert process.wait() == 0
        assert b"scores.parquet" in seen
        assert b"%" in seen
    else:
        assert subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True).stderr == b""


def big_file(folder, rows):
    rng = np.random.default_rng(0)
    path = folder / "scores.parquet"
    pq.write_table(pa.table({f"s_{k}": rng.normal(size=rows) for k in range(10)}), path, row_group_size=100_000)
    return path


def started(folder, *words, into=None, left=()):
    """Start a run on a large file, and return it when it has written something under another name."""
    process = subprocess.Popen(
        # a job in the background of a shell, as the tests may be one, ignores an interrupt
        ["env", "--default-signal=INT,HUP", sys.executable, "-m", "sigmax", "score", *words],
        stdin=subprocess.PIPE if into is None else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    while process.poll() is None and not any(
        p not in left and p.stat().st_size > 100_000 for p in folder.rglob(into or "*.csv")
    ):
        if into is None:
            process.stdin.write(b"s_a,s_b\n" + b"1,2\n" * 100_000)
        time.sleep(0.01)
    assert process.poll() is None, "the run was over before it could be stopped"
    return process


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_leaves_nothing(tmp_path, sign):
    source, target = big_file(tmp_path, 2_000_000), tmp_path / "p.csv"
    process = started(tmp_path, str(source), "-o", str(target), into=".*.part")
    process.send_signal(sign)
    process.wait(30)
    assert process.returncode != 0
    assert not target.exists()
    if (
        sign == signal.SIGKILL
    ):  # which nobody hears of: the next run in the folder tidies up, but takes nothing from one that lives
        left = list(tmp_path.glob(".*.part"))
        assert left
        other = started(tmp_path, str(source), "-o", str(tmp_path / "q.csv"), into=".*.part", left=left)
        other.send_signal(signal.SIGSTOP)
        small = tmp_path / "small.csv"
        small.write_text("s_a,s_b\n1,2\n")
        sigmax_command("score", str(small), "-o", str(tmp_path / "small.parquet"))
        assert len(list(tmp_path.glob(".*.part"))) == 1
        other.send_signal(signal.SIGCONT)
        assert other.wait(60) == 0
        assert (tmp_path / "q.csv").exists()
        return
    assert [p.name for p in tmp_path.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_copy_of_standard_input_does_not_stay(tmp_path, sign):
    process = started(tmp_path, "-")
    process.send_signal(sign)
    process.wait(30)
    process.stdin.close()
    assert len(list(tmp_path.iterdir())) == (sign == signal.SIGKILL)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "sigmax", "score", "-"]
    assert subprocess.run(command, input=b"s_a,s_b\n1,2\n", stdout=subprocess.DEVNULL, env=environment).returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "said", "status"),
    [
        ("score scores.csv >&-", "sigmax: standard output is closed", 2),
        ("score scores.csv -o - >&-", "sigmax: standard output is closed", 2),
        ("--help >&-", "sigmax: standard output is closed", 2),
        ("score - <&-", "sigmax: standard input is closed; name a file, or lead one into the command", 2),
        ("score scores.csv -o p.csv <&- >/dev/null", "", 0),
        ("score nothing.csv 2>&-", "", 2),
        ("score scores.csv 2>&- >/dev/null", "", 0),
        ("score scores.csv >/dev/full", "sigmax: standard output: No space left on device", 2),
        ("score scores.csv -o - >/dev/full", "sigmax: standard output: No space left on device", 2),
        ("explain 1 2 >/dev/full", "sigmax: standard output: No space left on device", 2),
    ],
)
def test_standard_streams_that_are_closed_or_full(tmp_path, script, said, status):
    (tmp_path / "scores.csv").write_text("s_a,s_b\n1,2\n")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m sigmax {script}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stderr.strip(), done.returncode) == (said, status)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("yes 1,2 | sigmax score - -o - | head -2", "sigmax: standard input: the first line (1, 2) looks like a row"),
        ("(echo s_a,s_b; yes 1,2) | sigmax score - -o - | sleep 1", ""),
        ("sigmax score - </dev/null", "sigmax: standard input is empty"),
    ],
)
def test_a_stream_without_end_ends(tmp_path, script, said):
    script = script.replace("sigmax", f"{sys.executable} -m sigmax")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == bool(said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["--help", "explain 1 2", "score scores.csv", "score big.csv -o -"])
def test_whoever_reads_may_stop(tmp_path, words):
    (tmp_path / "scores.csv").write_text("s_a,s_b\n1,2\n")
    (tmp_path / "big.csv").write_text("s_a,s_b\n" + "1,2\n" * 50_000)
    script = f"{sys.executable} -m sigmax {words} | sleep 0; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.arrow", "p.npy", "p.csv.gz", "p.csv.bz2", "p.csv.zst"])
def test_a_file_that_cannot_grow_is_named_and_not_left(tmp_path, name):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(100_000, 3)))
    script = f"trap '' XFSZ; ulimit -f 64; {sys.executable} -m sigmax score x.npy -o {name}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.startswith(f"sigmax: {name}: ")
    assert "File too large" in done.stderr
    assert (done.stderr.count("\n"), done.returncode) == (1, 2)
    assert [f.name for f in tmp_path.iterdir()] == ["x.npy"]


def test_a_pipe_by_its_name_is_led_in(tmp_path):
    os.mkfifo(tmp_path / "p.csv")
    for name in ("p.csv", "/dev/null"):
        done = subprocess.run(
            [sys.executable, "-m", "sigmax", "score", name], cwd=tmp_path, capture_output=True, text=True, timeout=30
        )
        said = f"sigmax: {name} is a pipe or a device, which is read once; lead it into the command: sigmax score - < {name}"
        assert (done.stderr.strip(), done.returncode) == (said, 2)


def test_names_of_files_that_are_no_text(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    name = os.fsdecode(b"q\xff.csv")
    rows = "s_a,s_b,y\n" + "".join(f"{i % 3},{i % 2},{'ab'[i % 2]}\n" for i in range(30))
    (folder / name).write_text(rows)
    for _ in range(2):  # and again, from the record
        printed("score", str(folder), "-o", str(tmp_path / "out"), "--label", "y")
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"_sigmax.jsonl", name}
    printed("report", str(folder / name), "--label", "y", "-o", str(tmp_path / "r.html"))
    assert "q\ufffd.csv" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_full_standard_error_changes_nothing(tmp_path):
    (tmp_path / "scores.csv").write_text("s_a,s_b,y\n1,2,a\n1,2,a\n")
    for words, status in (("score nothing.csv", 2), ("score scores.csv --label y -o p.csv", 0)):
        script = f"{sys.executable} -m sigmax {words} 2>/dev/full >/dev/null"
        assert subprocess.run(["bash", "-c", script], cwd=tmp_path).returncode == status


@pytest.mark.parametrize(("name", "value"), [("NUM_THREADS", "zero"), ("CPU_LEVEL", "v9")])
def test_a_wrong_setting_is_one_line(name, value):
    for command in (["-m", "sigmax", "explain", "1"], ["-m", "sigmax", "--help"]):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env={**os.environ, f"SIGMAX_{name}": value}
        )
        assert done.returncode == 2
        assert re.fullmatch(rf"sigmax: SIGMAX_{name} is '{value}'; .*\n", done.stderr)


def test_a_reader_that_stops_early_is_no_error(examples):
    script = f"{sys.executable} -m sigmax score {examples / 'digits_scores.csv'} --label label --rows 700 | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""


def test_the_overview_is_what_the_commands_say_of_themselves():
    from sigmax.cli import load
    from sigmax.cli.app import app
    from sigmax.cli.overview import COMMANDS

    load()
    shown = sigmax_command("--help").stdout
    told = {}
    for name in (n for n in app if not n.startswith("-")):
        command = app[name]
        told.setdefault(command.group[0].name, {})[name] = " ".join(
            command.default_command.__doc__.split("\n\n")[0].split()
        )
    assert told == COMMANDS
    words = " ".join(shown.replace("│", " ").split())
    for heading, lines in COMMANDS.items():
        assert heading in shown
        for name, meaning in lines.items():
            assert f"{name} {meaning}" in words
    assert sigmax_command().stdout == sigmax_command("-h").stdout == shown
    assert sigmax_command("--version").stdout == f"{sigmax.__version__}\n"


@pytest.mark.parametrize("words", ["--version", "--help", "explain 2 1"])
def test_a_terminal_that_takes_nothing_is_told_in_a_line(words):
    full = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m sigmax {words} > /dev/full"], capture_output=True, text=True
    )
    assert (full.returncode, len(full.stderr.splitlines())) == (2, 1), full.stderr
    assert "No space left" in full.stderr
    script = f"set -o pipefail; {sys.executable} -m sigmax {words} | true"
    assert "Traceback" not in subprocess.run(["bash", "-c", script], capture_output=True, text=True).stderr


def test_numbers_are_explained_alike_whichever_way_they_come():
    for words in (["2.0", "1.0", "0.1"], ["-0.98"], ["-1e3", "-inf", "5"]):
        assert sigmax_command("explain", *words).stdout == sigmax_command("explain", *words, "--bias", "0").stdout
    assert "a score is nan" in sigmax_command("explain", "nan", "1").stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["explain", "2.0", "1.0"]])
def test_a_command_loads_what_it_needs(words):
    program = f"import sys; sys.argv = ['sigmax', *{words!r}]; from sigmax.cli import main\ntry: main()\nexcept SystemExit: print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.split()
    assert "sigmax.cli" in loaded
    assert not {"cyclopts", "pyarrow", "pandas", "sigmax.tables", "sigmax.calibration"} & set(loaded)
    assert ("rich" in loaded) == (words != ["--version"])


@pytest.mark.parametrize(("gone", "words"), [("cyclopts", ["score", "--help"]), ("rich", ["--help"])])
def test_without_its_extra_the_command_says_what_to_install(tmp_path, gone, words):
    (tmp_path / f"{gone}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{gone}'\", name='{gone}')")
    done = subprocess.run(
        [sys.executable, "-m", "sigmax", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
    )
    assert done.returncode != 0
    assert "pip install 'sigmax[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_five_gigabytes_in_flat_memory(tmp_path):
    from benchmarks import volume

    volume.main(gigabytes=5, keep_in=str(tmp_path))
