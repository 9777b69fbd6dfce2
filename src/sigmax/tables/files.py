"""The files of scores that a name, a folder or a pattern means: their formats, their keys, and where the results of each go."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sigmax.tables.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "READ_ONLY",
    "check_source",
    "compression_of",
    "expand",
    "format_of",
    "is_named_like_a_file",
    "keys_of",
    "output_for",
]

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npy": "npy",
    ".npz": "npz",
    ".safetensors": "safetensors",
}
READ_ONLY = ("npz", "safetensors")
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


def format_of(path: Path) -> str:
    """Return the format that the ending of `path` names; a CSV file may be compressed."""
    ending = path.suffix.lower()
    if ending in _COMPRESSIONS and Path(path.stem).suffix.lower() in (".csv", ".tsv"):
        return "csv"
    kind = _FORMATS.get(ending)
    if kind is None:
        known = [*_FORMATS, *(f".csv{c}" for c in _COMPRESSIONS)]
        raise TableError(f"{path}: unknown ending '{path.suffix}'; use one of {', '.join(known)}")
    return kind


def compression_of(path: Path) -> str | None:
    """Return how a file is compressed, by its ending; None if it is not."""
    return _COMPRESSIONS.get(path.suffix.lower())


def check_source(path: Path) -> None:
    """Refuse what cannot be read as a file of scores, by its name."""
    if not path.name:
        raise TableError("the name of a file is empty, or a folder; name a file")
    if not path.exists():
        raise TableError(f"{path}: no such file")
    if path.is_dir():
        raise TableError(f"{path} is a folder; name a file in it")
    if not path.is_file():
        raise TableError(
            f"{path} is a pipe or a device, which is read once; lead it into the command: sigmax score - < {path}"
        )
    format_of(path)


def is_named_like_a_file(path: Path) -> bool:
    """Return whether the ending of `path` is one that is known."""
    try:
        format_of(path)
    except TableError:
        return False
    return True


def _is_score_file(path: Path) -> bool:
    return is_named_like_a_file(path) and path.is_file() and not path.name.startswith((".", "_"))


def expand(source: str | Path | Sequence[str | Path]) -> tuple[list[Path], Path | None]:
    """
    Return the files that are meant, in order of name, and the folder that they are under; None for a single file.

    Parameters
    ----------
    source : str, Path, or a sequence of them
        Files, folders (with all score files below them) and globs.
    """
    if not isinstance(source, str | Path):
        for one in source:
            if not isinstance(one, str | Path):
                raise TableError(f"{one!r} is no name of a file, but of type {type(one).__name__}")
        found = _once(path for one in source for path in expand(one)[0])
        if not found:
            raise TableError("no files are named")
        for path in found:  # before anything is written
            check_source(path)
        return found, Path(os.path.commonpath([path.absolute().parent for path in found]))
    if source == "":
        raise TableError("the name of a file is empty; name the files to score, or . for this folder")
    path = Path(source)
    if path.is_dir():
        files = _once(sorted(f for f in path.rglob("*") if _is_score_file(f) and not _hidden(f, path)))
        if not files:
            raise TableError(f"{path} has no score files; they end in {', '.join(_FORMATS)}")
        return files, path
    if not path.exists() and any(c in str(path) for c in "*?["):
        root = Path(*itertools.takewhile(lambda part: not any(c in part for c in "*?["), path.parts))
        files = _once(sorted(f for f in root.glob(str(path.relative_to(root))) if _is_score_file(f)))
        if not files:
            raise TableError(f"no score file matches {path}")
        return files, root
    return [path], None


def _once(paths: Iterable[Path]) -> list[Path]:
    """Return each file once, by the first of its names: what several globs match, or a link leads to, is one file."""
    first: dict[Path, Path] = {}
    for path in paths:
        first.setdefault(path.resolve(), path)
    return list(first.values())


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(root).parts)


def output_for(file: Path, root: Path, folder: Path) -> Path:
    """Return where the results of `file`, found under `root`, go in `folder`: under its name, with .parquet behind what is only read."""
    target = folder / file.absolute().relative_to(root.absolute())
    return target.with_name(f"{target.name}.parquet") if format_of(file) in READ_ONLY else target


def keys_of(path: Path, root: Path | str | None) -> dict[str, str]:
    """Return what the folders below `root` that a file lies in say of it: those called name=value, as partitioned tables have them."""
    if root is None:
        return {}
    parts = path.absolute().relative_to(Path(root).absolute()).parts[:-1]
    return {unquote(k): unquote(v) for k, mark, v in (part.partition("=") for part in parts) if mark and k}
