"""The record of a run over many files, by which a rerun goes on where the last one stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from sigmax.tables.errors import TableError
from sigmax.tables.files import is_named_like_a_file, output_for
from sigmax.writing import aside, remove_left

if TYPE_CHECKING:
    from pathlib import Path

    from sigmax.tables.job import Job

__all__ = ["Record"]

RECORD = "_sigmax.jsonl"


class Record:
    """
    Which files are complete, with what options, and what was counted in them.

    A line of JSON for the options, and one for each file, added when it is complete: the last line counts once its end is there.
    """

    def __init__(self, folder: Path, root: Path, job: Job, folders: list[Path]) -> None:
        if folder.exists() and not folder.is_dir():
            raise TableError(f"{folder} is a file; the results of several files go into a folder")
        if folder.resolve() == root.resolve():
            raise TableError(f"{folder} is the folder of the input; write the results to another")
        if folders and any(folder.resolve().is_relative_to(source.resolve()) for source in folders):
            raise TableError(
                f"{folder} lies in the folder of the input, where the next run would score it; write the results elsewhere"
            )
        if is_named_like_a_file(folder):
            raise TableError(f"{folder} is named like a file; the results of several files go into a folder")
        self._folder, self._root = folder, root
        self._path = folder / RECORD
        self._options = json.loads(_line({"options": _options_of(job)}))["options"]
        self._files: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._read()
        remove_left(folder, below=True)

    def _read(self) -> None:
        try:
            *lines, torn = self._path.read_text(encoding="utf-8").split("\n")
            head, *entries = map(json.loads, lines)
            options = dict(head["options"])
            self._files = {entry["file"]: entry for entry in entries}
        except (ValueError, TypeError, KeyError):
            raise TableError(f"{self._path} is no record of a run; remove it, or name another folder") from None
        before, now = _flat(options), _flat(self._options)
        other = [k for k in now if before.get(k) != now[k]]
        if other:
            was = ", ".join(f"{k} = {before.get(k)!r}" for k in other)
            raise TableError(
                f"{self._folder} holds results made with {was}; name another folder, or remove {self._path}"
            )
        if torn:  # of a run that was killed while it wrote it
            self._write()

    def target_of(self, path: Path) -> Path:
        """Return where the results of a file go."""
        return output_for(path, self._root, self._folder)

    def _name(self, path: Path) -> str:
        return str(self.target_of(path).relative_to(self._folder))

    def state_of(self, path: Path) -> dict[str, Any] | None:
        """Return what was counted in a file that is complete, and has not changed since."""
        entry = self._files.get(self._name(path))
        target = self.target_of(path)
        if entry is None or not target.exists() or entry["source"] != _stamp(path):
            return None
        state: dict[str, Any] = entry["state"]
        return state if entry["size"] == target.stat().st_size else None

    def add(self, path: Path, state: dict[str, Any]) -> None:
        """Write down that a file is complete."""
        target = self.target_of(path)
        name = self._name(path)
        self._files[name] = {"file": name, "source": _stamp(path), "size": target.stat().st_size, "state": state}
        if self._path.exists():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(self._files[name]))
        else:
            self._write()

    def _write(self) -> None:
        with aside(self._path) as part:
            part.write_text("".join(map(_line, ({"options": self._options}, *self._files.values()))), encoding="utf-8")


def _options_of(job: Job) -> dict[str, Any]:
    """Return a job's options; a calibrator counts by what is in its file."""
    options = dataclasses.asdict(job)
    for name in ("labels", "model", "calibration"):
        options[name] = None if options[name] is None else str(options[name])
    for name, path in (("model", job.model), ("calibration", job.calibration)):
        if path is not None:
            options[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return options


def _line(value: Any) -> str:
    """Return a line of JSON, in which an infinite number, for which JSON has none, is a word."""
    return json.dumps(_worded(value), allow_nan=False) + "\n"


def _worded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _worded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_worded(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with those of the dialect beside the others."""
    return {k: v for k, v in options.items() if k != "dialect"} | dict(options.get("dialect") or {})


def _stamp(path: Path) -> list[Any]:
    status = path.stat()
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]
