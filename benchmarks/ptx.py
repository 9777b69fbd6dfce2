"""
The GPU's kernels without a GPU: ``python -m benchmarks ptx [--record] [--only NAME]``.

Compiles every kernel for sm_80 and sm_90, as it is launched for rows of some lengths, and reads how many registers a thread has and how many
bytes it spills. Compares that with benchmarks/ptx.json, and ends with status 1 if a kernel spills more or has a fifth more registers;
``--record`` writes that file. Needs Triton alone, which brings the tools.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

RECORD = Path(__file__).with_suffix(".json")
TARGETS = (80, 90)
WIDTHS = (10, 1000, 4096, 262_144)
POINTERS = {"x", "where", "heat", "y", "g", "loss", "slope", "labels"}


def launches() -> Iterator[tuple[str, Any, dict[str, str], dict[str, Any], int]]:
    """Yield what is launched: a name, the kernel, the types of its arguments, its constants, and the warps."""
    import torch
    import triton
    import triton.language as tl

    from sigmax.arrays.torch.kernels import links, rows

    for short, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp64", torch.float64)):
        wide = tl.float64 if dtype == torch.float64 else tl.float32
        two = dtype != torch.bfloat16
        for name, kind in links.LINKS.items():
            yield (
                f"{name} {short}",
                links._links,
                {"x": short, "y": short},
                dict(kind=kind, wide=wide, block=links.BLOCK),
                4,
            )
        yield (
            f"binary_cross_entropy {short}",
            links._binary,
            {"x": short, "labels": short, "loss": short, "slope": short},
            dict(sloped=True, checked=True, wide=wide, block=links.BLOCK),
            4,
        )
        for classes in WIDTHS:
            if classes <= rows.LONGEST:
                width = triton.next_power_of_2(classes)
                together, warps = rows._shape(width, dtype.itemsize < 4)
                size, which = dict(together=together, width=width), "short"
            else:
                piece, warps = rows._long_shape(classes, wide == tl.float64)
                size, which = dict(piece=piece), "long"
            common = dict(two=two, wide=wide, **size)
            heat = "fp64" if wide == tl.float64 else "fp32"
            for name, kind in {**rows.NAMES, "logsumexp": 3}.items():
                types = {"x": short, "where": "i8", "heat": heat, "y": short}
                plain = dict(kind=kind, masked=False, heated=False)
                yield f"{name} {short} {classes}", getattr(rows, f"_{which}_rows"), types, {**plain, **common}, warps
            types = {"x": short, "labels": "i64", "loss": short, "slope": short}
            constants = dict(sloped=True, skips=True, **common)
            yield f"cross_entropy {short} {classes}", getattr(rows, f"_{which}_losses"), types, constants, warps
            for name, kind in rows.PULLBACKS.items():
                types = {"x": short, "where": "i8", "heat": heat, "g": short, "y": short}
                constants = dict(kind=kind, masked=True, heated=True, **common)
                yield f"{name} {short} {classes}", getattr(rows, f"_{which}_pulls"), types, constants, warps


def compiled(kernel: Any, types: dict[str, str], constants: dict[str, Any], warps: int, target: int) -> bytes:
    """Return a kernel as the machine code of a target."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.arg_names
    signature = {n: "constexpr" if n in constants else f"*{types[n]}" if n in POINTERS else "i32" for n in names}
    source = ASTSource(kernel, signature, {(names.index(n),): v for n, v in constants.items()})
    made = triton.compile(
        source, target=GPUTarget("cuda", target, 32), options={"num_warps": warps, "enable_fp_fusion": False}
    )
    cubin: bytes = made.asm["cubin"]
    return cubin


def needs(cubin: bytes) -> tuple[int, int]:
    """Return the registers of a thread and the bytes that it spills to its stack."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        said = subprocess.run([str(tool), "-res-usage", str(path)], capture_output=True, text=True, check=True).stdout
    used = re.search(r"REG:(\d+) STACK:(\d+)", said)
    if used is None:
        raise ValueError(f"cuobjdump says nothing of registers: {said[-500:]}")
    return int(used[1]), int(used[2])


def main(record: bool = False, only: str = "") -> None:
    """Compile, print and compare; `only` those with this in their names."""
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    found: dict[str, list[list[int]]] = {}
    worse = []
    print(f"| kernel | {' | '.join(f'sm_{t}: registers, bytes spilled' for t in TARGETS)} |")
    for name, kernel, types, constants, warps in launches():
        if only not in name:
            continue
        found[name] = [list(needs(compiled(kernel, types, constants, warps, t))) for t in TARGETS]
        print(f"| {name} | {' | '.join(f'{r}, {s}' for r, s in found[name])} |", flush=True)
        for (registers, spilled), (before, spilled_before) in zip(found[name], known.get(name, []), strict=False):
            if registers > 1.2 * before or spilled > spilled_before:
                worse.append(name)
    if record:
        RECORD.write_text(json.dumps({**known, **found} if only else found, indent=0) + "\n")
        return
    missing = sorted(set(found) ^ {name for name in known if only in name})
    if worse or missing:
        sys.exit(f"other than recorded: {', '.join([*worse, *missing][:10])}; --record, if that is meant")
    print(f"{len(found)} kernels for sm_80 and sm_90, as recorded")
