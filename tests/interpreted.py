"""
The kernels for GPUs against the core: by Triton's interpreter where there is no GPU (test_kernels.py starts it so), or on one.

On a machine with a GPU: ``python -m pytest tests/interpreted.py``.
"""

import math
import os

import pytest
import torch
from conformance import GROUPS, conforms

import sigmax
import sigmax.torch
from sigmax.arrays.torch import kernels
from sigmax.arrays.torch.define import ops
from sigmax.arrays.torch.kernels import rows

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
FEW = [torch.float32, torch.bfloat16] if DEVICE == "cpu" else TYPES  # the interpreter is slow
LENGTHS = [(rows.LONGEST, rows.PIECE), (16, 16)]  # rows in registers, and by pieces


@pytest.fixture(params=LENGTHS, ids=["short", "long"], autouse=True)
def length(request, monkeypatch):
    longest, piece = request.param
    monkeypatch.setattr(rows, "LONGEST", longest)
    monkeypatch.setattr(rows, "PIECE", piece)


once = pytest.mark.parametrize("length", LENGTHS[:1], ids=["short"], indirect=True)  # what has no rows


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


@pytest.mark.parametrize("dtype", FEW)
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
    want = function(x, complement=True, **options) if "complement" in name else function(x, **options)
    assert apart(got, want) <= 5


@pytest.mark.parametrize("dtype", TYPES)
def test_sums(dtype):
    x = scores(dtype)
    assert apart(kernels.logsumexp(x.to(DEVICE), None, [1], dtype), sigmax.logsumexp(x)) <= 3
    where = torch.rand(x.shape) > 0.3
    got = kernels.logsumexp(x.to(DEVICE), where.to(DEVICE), [1], dtype)
    assert apart(got, sigmax.logsumexp(x, where=where)) <= 3


@pytest.mark.parametrize("dtype", FEW)
@pytest.mark.parametrize("shift", [0, 1])
def test_losses(dtype, shift):
    x = scores(dtype)
    y = (torch.tensor([3, 0, 5, 4, 2, 7, 1, 44, 9]) + shift) % 45
    loss, slope = kernels.cross_entropy(x.to(DEVICE), y.to(DEVICE), [1], True)
    alone, nothing = kernels.cross_entropy(x.to(DEVICE), y.to(DEVICE), [1], False)
    assert nothing is None
    torch.testing.assert_close(alone, loss, rtol=0, atol=0, equal_nan=True)
    kept, kept_slope = loss.cpu(), slope.cpu()
    for bad in (-1, 45, 7) if DEVICE == "cpu" else (-1, 45, -100, 2**40, 7):
        labels = y.clone()
        labels[6] = bad
        made = kernels.cross_entropy(x.to(DEVICE), labels.to(DEVICE), [1], True, 7 if bad == 7 else None)
        other, slopes = (part.cpu() for part in made)
        same = (torch.arange(9) != 6) & (y != (7 if bad == 7 else -1))
        torch.testing.assert_close(other[same], kept[same], rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(slopes[same], kept_slope[same], rtol=0, atol=0, equal_nan=True)
        wanted = 0.0 if bad == 7 else math.nan  # the label that is passed over; no class
        for part in (other[6], *slopes[6]):
            torch.testing.assert_close(part.item(), wanted, rtol=0, atol=0, equal_nan=True)
    spoiled = y.clone()
    spoiled[3] = 44  # a row with a NaN that is passed over counts for nothing
    other, slopes = kernels.cross_entropy(x.to(DEVICE), spoiled.to(DEVICE), [1], True, 44)
    assert other[3] == 0
    assert (slopes[3] == 0).all()
    want, want_slope = sigmax.cross_entropy_and_grad(x, y)
    assert apart(loss, want) <= 3
    assert apart(slope, want_slope) <= 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64] if DEVICE == "cpu" else TYPES)
@pytest.mark.parametrize("name", rows.PULLBACKS)
@pytest.mark.parametrize("heated", [False, True])
def test_pullbacks(dtype, name, heated):
    x = scores(dtype)
    g = torch.randn(x.shape).to(dtype)
    t = torch.tensor([0.5, 1, 2, 3, 0.1, 0.7, 0.0, math.inf, 1.5]) if heated else None
    got = kernels.pullback(name, x.to(DEVICE), g.to(DEVICE), None if t is None else t.to(DEVICE), None, [1])
    want = getattr(ops, name)(g, x, t, None, [1])
    size = torch.where(torch.isfinite(want), want, 0).double().abs().amax(1, keepdim=True).expand(want.shape)
    assert apart(got, want, size) <= 6


def numbers(name, dtype):
    """Numbers of a function's domain and beside it: near 0 and 1, where terms cancel, far out, and what is none."""
    torch.manual_seed(2)
    x = 10 * torch.randn(700, dtype=torch.float64)
    special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        0.25,
        0.75,
        1e-30,
        -1e-30,
        1e30,
        -1e30,
        88.0,
        -88.0,
        math.inf,
        -math.inf,
        math.nan,
    ]
    if name in ("logit", "odds"):
        x = torch.cat([torch.rand(500, dtype=torch.float64), 0.5 + 1e-3 * torch.randn(200, dtype=torch.float64)])
    elif name == "from_odds":
        x = x.exp()
    elif name in ("log1mexp", "logitexp"):
        x = torch.cat([-x[:500].abs(), -math.log(2) + 1e-3 * torch.randn(200, dtype=torch.float64)])
    return torch.cat([x, torch.tensor(special, dtype=torch.float64)]).to(dtype)


@once
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", kernels.LINKS)
def test_elementwise(name, dtype):
    x = numbers(name, dtype)
    got = kernels.link(name, x.to(DEVICE))
    want = getattr(sigmax, name)(x)
    # below the smallest normal number a GPU's exponential may be 0; of a logarithm near 0 the step is that of its argument
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).tiny
    torch.testing.assert_close(got.cpu(), want, rtol=6 * eps, atol=2 * tiny, equal_nan=True)
    part = torch.stack([x, x], 1)[:, 0]
    torch.testing.assert_close(kernels.link(name, part.to(DEVICE)), got, rtol=0, atol=0, equal_nan=True)


@once
@pytest.mark.parametrize("dtype", TYPES)
def test_two_classes(dtype):
    x = numbers("sigmoid", dtype)
    x = x[x.isfinite()]
    y = torch.rand(x.shape).to(dtype)
    y[::3], y[1::3] = 0, 1
    loss, slope = kernels.binary_cross_entropy(x.to(DEVICE), y.to(DEVICE), True)
    alone, nothing = kernels.binary_cross_entropy(x.to(DEVICE), y.to(DEVICE), False)
    assert nothing is None
    torch.testing.assert_close(alone, loss, rtol=0, atol=0)
    want, want_slope = sigmax.binary_cross_entropy_and_grad(x, y)
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).tiny
    torch.testing.assert_close(loss.cpu(), want, rtol=6 * eps, atol=2 * tiny)
    for bad in (-0.1, 1.5, math.nan):
        labels = y.clone()
        labels[5] = bad
        for checked in (True, False):
            found = torch.stack(kernels.binary_cross_entropy(x.to(DEVICE), labels.to(DEVICE), True, checked))
            assert found[:, 5].isnan().all() == (checked or bad != bad)
            assert found[:, :5].isfinite().all()
    hard = (y == 0) | (y == 1)
    torch.testing.assert_close(slope.cpu()[hard], want_slope[hard], rtol=6 * eps, atol=2 * tiny)
    torch.testing.assert_close(slope.cpu(), want_slope, rtol=6 * eps, atol=4 * eps)  # p - y of a soft label cancels


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
    assert sigmax.cross_entropy(x, y + 45).isnan().all()  # to raise an error would wait for the device at every call
    loss, theirs = sigmax.torch.CrossEntropyLoss(ignore_index=3), torch.nn.CrossEntropyLoss(ignore_index=3)
    torch.testing.assert_close(loss(x, y % 5), theirs(x, y % 5))
    torch.testing.assert_close(*(torch.autograd.grad(f(x, y % 5), x)[0] for f in (loss, theirs)))
    labels = torch.rand(6, 45, device="cuda")
    for name, other in (("sigmoid", torch.sigmoid), ("logit", torch.logit), ("softplus", torch.nn.functional.softplus)):
        p = labels.clone().requires_grad_()
        torch.testing.assert_close(*(torch.autograd.grad(f(p).sum(), p)[0] for f in (getattr(sigmax, name), other)))
    other = torch.nn.functional.binary_cross_entropy_with_logits
    losses = sigmax.binary_cross_entropy(x, labels).sum(), other(x, labels, reduction="sum")
    torch.testing.assert_close(*(torch.autograd.grad(loss, x)[0] for loss in losses))
    assert sigmax.binary_cross_entropy(x, labels + 1).isnan().all()
    torch.testing.assert_close(torch.compile(sigmax.softmax)(x), torch.softmax(x, -1))


@once
@pytest.mark.parametrize("group", GROUPS)
def test_conforms(group):
    conforms("torch-kernels", group)
