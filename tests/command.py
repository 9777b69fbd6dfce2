"""
The command in a process of its own, at the price of a fork: a parent, which has imported what it needs, forks for each call.

``python -m sigmax`` itself is started by the tests of how a process begins and ends.
"""

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

__all__ = ["run"]


def run(*words, cwd=None, stdin=b"", text=True):
    """Run ``sigmax WORDS`` on a terminal of 120 columns without colours, and return what subprocess.run would."""
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        streams = [str(Path(folder, name)) for name in ("stdin", "stdout", "stderr")]
        Path(streams[0]).write_bytes(stdin)
        call = {"words": list(map(str, words)), "cwd": str(cwd or Path.cwd()), "streams": streams}
        server.stdin.write(json.dumps(call) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        out, err = (Path(name).read_bytes() for name in streams[1:])
    if text:
        out, err = out.decode().replace("\r\n", "\n"), err.decode().replace("\r\n", "\n")
    return subprocess.CompletedProcess(["sigmax", *words], status, out, err)


@functools.cache
def _server():
    environment = {
        **os.environ,
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )

    def end():
        server.stdin.close()
        server.wait(20)
        server.stdout.close()

    atexit.register(end)
    return server


def _serve():
    import sigmax.cli.app
    import sigmax.report
    import sigmax.tables

    sigmax.cli.load()
    calls, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    for line in calls:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_call(sigmax.cli.main, **call))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _call(main, words, cwd, streams):
    for number, (name, flags) in enumerate(zip(streams, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    sys.argv = ["sigmax", *words]
    status = 1
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
