"""
The kernels for GPUs against the core: by Triton's interpreter where there is no GPU (test_kernels.py starts it so), or on one.

On a machine with a GPU: ``python -m pytest tests/interpreted.py``.
"""

import math
import os

import pytest
import torch

import sigmax
from sigmax.arrays.torch import kernels
from sigmax.arrays.torch.define import ops

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LENGTHS = [(kernels.LONGEST, kernels.PIECE), (16, 16)]  # rows in registers, and by pieces


@pytest.fixture(params=LENGTHS, ids=["short", "long"], autouse=True)
def length(request, monkeypatch):
    longest, piece = request.param
    monkeypatch.setattr(kernels, "LONGEST", longest)
    monkeypatch.setattr(kernels, "PIECE", piece)


def scores(dtype, rows=9, classes=45):
    torch.manual_seed(1)
    x = (7 * torch.randn(rows, classes, dtype=torch.float64)).to(dtype)
    x[0, 3], x[1, :], x[2, 5], x[3, 4], x[4, :], x[5, 7], x[5, 9] = (
        -math.inf,
        -math.inf,
        math.inf,
        math.nan,
        2,
        math.inf,
        math.inf,
    )
    return x


def apart(got, want, scale=None):
    """The largest distance in epsilons, of each number or of the largest of its row; what is not finite has to be the same."""
    got, want = got.cpu(), want.cpu()
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    eps, finite = torch.finfo(want.dtype).eps, torch.isfinite(want)
    torch.testing.assert_close(got[~finite], want[~finite], rtol=0, atol=0, equal_nan=True)
    size = want.double().abs() if scale is None else scale
    least = torch.finfo(want.dtype).tiny if scale is None else 1e-30
    return ((got.double() - want.double()).abs() / size.clamp(min=least))[finite].max().item() / eps


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16] if DEVICE == "cpu" else TYPES
)  # the interpreter is slow
@pytest.mark.parametrize("name", kernels.NAMES)
@pytest.mark.parametrize(
    ("temperature", "masked"), [(None, False), ([0.5, 1, 2, 3, 0.1, 0.0, 0.0, math.inf, 1e-3], True)]
)
def test_scores(dtype, name, temperature, masked):
    x = scores(dtype)
    t = None if temperature is None else torch.tensor(temperature, dtype=torch.float64)
    where = torch.rand(x.shape) > 0.3 if masked else None
    got = kernels.per_class(
        name, x.to(DEVICE), None if t is None else t.to(DEVICE), None if where is None else where.to(DEVICE), [1], dtype
    )
    options = ({} if t is None else {"temperature": t}) | ({} if where is None else {"where": where})
    function = getattr(sigmax, name.replace("_complement", ""))
    want = function(x, complement="complement" in name, **options) if name != "log_softmax" else function(x, **options)
    assert apart(got, want) <= 5


@pytest.mark.parametrize("dtype", TYPES)
def test_sums(dtype):
    x = scores(dtype)
    assert apart(kernels.logsumexp(x.to(DEVICE), None, [1], dtype), sigmax.logsumexp(x)) <= 3
    where = torch.rand(x.shape) > 0.3
    got = kernels.logsumexp(x.to(DEVICE), where.to(DEVICE), [1], dtype)
    assert apart(got, sigmax.logsumexp(x, where=where)) <= 3


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shift", [0, 1])
def test_losses(dtype, shift):
    x = scores(dtype)
    y = (torch.tensor([3, 0, 5, 4, 2, 7, 1, 44, 9]) + shift) % 45
    loss, slope = kernels.cross_entropy(x.to(DEVICE), y.to(DEVICE), [1], True)
    alone, nothing = kernels.cross_entropy(x.to(DEVICE), y.to(DEVICE), [1], False)
    assert nothing is None
    torch.testing.assert_close(alone, loss, rtol=0, atol=0, equal_nan=True)
    want, want_slope = sigmax.cross_entropy_and_grad(x, y)
    assert apart(loss, want) <= 3
    assert apart(slope, want_slope) <= 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64] if DEVICE == "cpu" else TYPES)
@pytest.mark.parametrize("name", kernels.PULLBACKS)
@pytest.mark.parametrize("heated", [False, True])
def test_pullbacks(dtype, name, heated):
    x = scores(dtype)
    g = torch.randn(x.shape).to(dtype)
    t = torch.tensor([0.5, 1, 2, 3, 0.1, 0.7, 0.0, math.inf, 1.5]) if heated else None
    got = kernels.pullback(name, x.to(DEVICE), g.to(DEVICE), None if t is None else t.to(DEVICE), None, [1])
    want = getattr(ops, name)(g, x, t, None, [1])
    size = torch.where(torch.isfinite(want), want, 0).double().abs().amax(1, keepdim=True).expand(want.shape)
    assert apart(got, want, size) <= 6


def test_any_axis_and_order_of_memory():
    x = torch.randn(3, 5, 4, 6).to(memory_format=torch.channels_last)
    for axes in ([1], [0], [1, 3]):
        got = kernels.per_class("softmax", x.to(DEVICE), None, None, axes, x.dtype)
        want = sigmax.softmax(x, axis=tuple(axes))
        assert apart(got, want) <= 4
        assert got.stride() == want.stride()


def test_a_row_has_the_same_bits_wherever_it_stands():
    x = torch.randn(12, 45)
    whole = kernels.per_class("log_softmax", x.to(DEVICE), None, None, [1], x.dtype)
    for i in (0, 7, 11):
        alone = kernels.per_class("log_softmax", x[i : i + 1].to(DEVICE), None, None, [1], x.dtype)
        assert (alone[0] == whole[i]).all()


def test_float64_results_of_floats_are_worked_out_so():
    x = torch.randn(4, 45)
    got = kernels.per_class("log_softmax", x.to(DEVICE), None, None, [1], torch.float64)
    assert apart(got, sigmax.log_softmax(x, dtype=torch.float64)) <= 4


@pytest.mark.skipif(DEVICE == "cpu", reason="calls of a GPU's tensors: python -m pytest tests/interpreted.py on one")
def test_calls_go_to_the_kernels():
    x = torch.randn(6, 45, device="cuda", requires_grad=True)
    y = torch.randint(0, 45, (6,), device="cuda")
    sigmax.cross_entropy(x, y).sum().backward()
    want = torch.autograd.grad(torch.nn.functional.cross_entropy(x, y, reduction="sum"), x)[0]
    torch.testing.assert_close(x.grad, want)
    for name in ("softmax", "log_softmax"):
        got = torch.autograd.grad((getattr(sigmax, name)(x) ** 2).sum(), x)[0]
        torch.testing.assert_close(got, torch.autograd.grad((getattr(torch, name)(x, -1) ** 2).sum(), x)[0])
    with pytest.raises(ValueError, match="temperature"):
        sigmax.softmax(x, temperature=torch.tensor(-1.0, device="cuda"))
    with pytest.raises(ValueError, match="is not a class"):
        sigmax.cross_entropy(x, y + 45)
    torch.testing.assert_close(torch.compile(sigmax.softmax)(x), torch.softmax(x, -1))
