"""PyTorch's own samples of modules and functions: values, gradients and second derivatives, in four types; autocast; half precision."""

import warnings

import pytest
import torch
from benchmarks.torch_samples import MODES, cases, compare, transformed

import sigmax.torch

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_they_agree_or_differ_for_a_known_reason(dtype):
    torch.manual_seed(0)
    outcomes = [(f"{case.name} {case.number} {case.told}", compare(case)) for case in cases(dtype)]
    assert len({name.split()[0] for name, _ in outcomes}) == 17
    assert sum("CrossEntropyLoss" in name for name, _ in outcomes) >= 105
    assert [f"{name}: {o.differs}" for name, o in outcomes if o.differs and not o.known] == []
    assert sum(bool(o.known) for _, o in outcomes) < len(outcomes) / 20


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("ignore")
def test_they_agree_in_every_way_of_calling(mode):
    torch.manual_seed(0)
    drawn = list(cases(getattr(torch, MODES[mode])))[:: 5 if mode == "compiled" else 1]  # the command compiles all
    outcomes = [(f"{c.name} {c.number} {c.told}", transformed(c, mode)) for c in drawn]
    assert len(outcomes) >= (48 if mode == "compiled" else 240)
    assert [f"{name}: {o.differs}" for name, o in outcomes if o.differs and not o.known] == []


@pytest.mark.parametrize("ignore", [0, 1, 2, -100])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_class_may_be_ignored(ignore, reduction):
    """Padding is often class 0."""
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    y = torch.tensor([0, 1, 2, 1, 0, 2])
    y = torch.where(y == 2, ignore, y) if ignore < 0 else y
    options = dict(ignore_index=ignore, reduction=reduction)
    ours, theirs = (kind.CrossEntropyLoss(**options)(x, y) for kind in (sigmax.torch, torch.nn))
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    a, b = (torch.autograd.grad(loss.sum(), x)[0] for loss in (ours, theirs))
    torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-16)
    assert (a[y == ignore] == 0).all()
    with torch.no_grad():
        torch.testing.assert_close(sigmax.torch.CrossEntropyLoss(**options)(x, y), theirs.detach(), rtol=1e-14, atol=0)
    mapped = torch.func.vmap(torch.func.grad(lambda v: sigmax.torch.CrossEntropyLoss(**options)(v, y).sum()))(x[None])
    torch.testing.assert_close(mapped[0], b, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_where_all_rows_are_ignored_nothing_is_learnt(dtype, weighted):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(2)).to(dtype).requires_grad_()
    loss = sigmax.torch.CrossEntropyLoss(torch.ones(3) if weighted else None, ignore_index=1, label_smoothing=0.1)
    value = loss(x, torch.ones(4, dtype=torch.long))
    assert torch.isnan(value)
    value.backward()
    assert (x.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_mean_of_a_large_batch_keeps_its_gradient_in_half_precision(dtype):
    """Divided by the rows it would be below the smallest numbers before the scale of the loss reaches it."""
    x = (torch.randn(50_000, 4, generator=torch.Generator().manual_seed(3)) * 4).to(dtype)
    y = torch.randint(0, 4, (50_000,), generator=torch.Generator().manual_seed(4))
    narrow, wide = x.clone().requires_grad_(), x.double().requires_grad_()
    loss = sigmax.torch.CrossEntropyLoss()(narrow, y)
    (loss * 1024.0).backward()
    (torch.nn.CrossEntropyLoss()(wide, y) * 1024.0).backward()
    smallest = torch.finfo(dtype).smallest_normal
    torch.testing.assert_close(
        narrow.grad.double(), wide.grad, rtol=torch.finfo(dtype).eps, atol=smallest * torch.finfo(dtype).eps
    )
    with torch.no_grad():
        assert sigmax.torch.CrossEntropyLoss()(x, y) == loss
        assert not torch.isinf(
            sigmax.torch.CrossEntropyLoss()(x.repeat(2, 1) * 16, y.repeat(2))
        )  # whose sum would overflow


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_losses_are_float32_as_torchs_are(name, dtype):
    layer = torch.nn.Linear(5, 3)
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(5))
    y = torch.tensor([0, 1, 2, 0, 1, 2, 1]) if name == "CrossEntropyLoss" else torch.ones(7, 3)
    found = []
    for kind in (sigmax.torch, torch.nn):
        with torch.autocast("cpu", dtype):
            loss = getattr(kind, name)()(layer(x), y)
        layer.zero_grad()
        loss.backward()
        found.append((loss.detach(), layer.weight.grad.clone()))
    (ours, gradient), (theirs, wanted) = found
    assert ours.dtype == theirs.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=torch.finfo(dtype).eps, atol=0)  # torch rounds the log_softmax first
    torch.testing.assert_close(gradient, wanted, rtol=0.02, atol=4 * torch.finfo(dtype).eps * float(wanted.abs().max()))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_option_learns_in_every_type(dtype):
    """A mean over bfloat16 used to raise in its backward pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for weight in (None, torch.tensor([0.5, 1.0, 2.0])):
            for target in (torch.tensor([0, 2]), torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])):
                for reduction in ("mean", "sum", "none"):
                    x = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.25, 0.125]], dtype=dtype, requires_grad=True)
                    wide = x.detach().double().requires_grad_()
                    options = dict(reduction=reduction, label_smoothing=0.25)
                    w = None if weight is None else weight.to(dtype)
                    t = target.to(dtype) if target.is_floating_point() else target
                    loss = sigmax.torch.CrossEntropyLoss(w, **options)(x, t)
                    assert loss.dtype == dtype
                    theirs = torch.nn.CrossEntropyLoss(None if w is None else w.double(), **options)(
                        wide, t.double() if t.is_floating_point() else t
                    )
                    loss.sum().backward()
                    theirs.sum().backward()
                    eps = torch.finfo(dtype).eps
                    torch.testing.assert_close(loss.double(), theirs, rtol=2 * eps, atol=0)
                    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=2 * eps, atol=max(eps / 16, 1e-15))
