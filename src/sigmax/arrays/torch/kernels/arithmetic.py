"""How kernels are launched, and the functions that they are made of: CUDA's own, or where Triton interprets on a machine without a GPU what NumPy has."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch
import triton
import triton.language as tl

__all__ = ["exp", "expm1", "launch", "log", "log1p", "wide_of"]

if os.environ.get("TRITON_INTERPRET") == "1":

    @triton.jit
    def exp(x):
        """Return e to the power of x."""
        return tl.exp(x)

    @triton.jit
    def log(x):
        """Return the natural logarithm."""
        return tl.log(x)

    @triton.jit
    def log1p(x):
        """Return log(1 + x)."""
        u = 1 + x
        return tl.where(u == 1, x, tl.log(u) * (x / tl.where(u == 1, 1, u - 1)))

    @triton.jit
    def expm1(x):
        """Return e^x - 1."""
        u = tl.exp(x)
        plain = (u == 1) | (u == 0) | (u == float("inf"))
        return tl.where(u == 1, x, tl.where(plain, u - 1, (u - 1) * (x / tl.log(tl.where(plain, 2, u)))))
else:
    from triton.language.extra import libdevice

    exp, log, log1p, expm1 = libdevice.exp, libdevice.log, libdevice.log1p, libdevice.expm1


def wide_of(*dtypes: torch.dtype) -> tuple[torch.dtype, Any]:
    """Return in what the work is done, as PyTorch and as Triton call it."""
    return (torch.float64, tl.float64) if torch.float64 in dtypes else (torch.float32, tl.float32)


def launch(kernel: Any, programs: int, warps: int, *args: Any, **constants: Any) -> None:
    """
    Start a kernel where its first argument lies.

    Multiplications are not fused with additions but where the kernels say so: what is known of a rounding would no longer hold.
    """
    device = args[0].device
    elsewhere = device.type == "cuda" and device.index != torch.cuda.current_device()
    with torch.cuda.device(device) if elsewhere else contextlib.nullcontext():
        kernel[(programs,)](*args, **constants, num_warps=warps, enable_fp_fusion=False)
