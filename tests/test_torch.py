"""PyTorch: operators, derivatives, transformations, and modules beside torch's own."""

import itertools
import math
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from family import LINKS
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

import sigmax
import sigmax.torch
from sigmax import _native
from sigmax.arrays import torch as adapter
from sigmax.arrays.torch import losses

X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2
Y = torch.tensor([0, 1, 2, 3, 0])
T = torch.tensor([1.5, 0.7, 1, 2, 3], dtype=torch.float64)
MASK = torch.tensor([[True, True, False, True]] * 5)

ROWS = {
    "softmax": lambda x, t: sigmax.softmax(x, temperature=t, where=MASK),
    "softmax complement": lambda x, t: sigmax.softmax(x, temperature=t, complement=True),
    "log_softmax": lambda x, t: sigmax.log_softmax(x, temperature=t),
    "log_softmax complement": lambda x, t: sigmax.log_softmax(x, temperature=t, complement=True),
    "logit_softmax": lambda x, t: sigmax.logit_softmax(x, temperature=t),
    "logsumexp": lambda x, t: sigmax.logsumexp(x / t[:, None]),
    "logsumexp, weights": lambda x, t: sigmax.logsumexp(x, weights=t[:, None].expand(5, 4), return_sign=True)[0],
    "cross_entropy": lambda x, t: sigmax.cross_entropy(x, Y, temperature=t, label_smoothing=0.1),
    "cross_entropy, soft": lambda x, t: sigmax.cross_entropy(x, torch.softmax(t.expand(4, 5).T + X, 1), temperature=t),
    "cross_entropy_and_grad": lambda x, t: sigmax.cross_entropy_and_grad(x, Y, temperature=t),
    "binary_cross_entropy": lambda x, t: sigmax.binary_cross_entropy(x, torch.sigmoid(t)[:, None].expand(5, 4)),
}


def domain(name):
    x = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    return -3 * x if name in ("log1mexp", "logitexp") else x


@pytest.mark.parametrize("name", LINKS)
def test_derivatives_of_the_elementwise_functions(name):
    x = domain(name).requires_grad_()
    assert torch.autograd.gradcheck(getattr(sigmax, name), x)
    assert torch.autograd.gradgradcheck(getattr(sigmax, name), x)


@pytest.mark.parametrize("name", ROWS)
def test_derivatives_over_rows(name):
    x, t = X.clone().requires_grad_(), T.clone().requires_grad_()
    assert torch.autograd.gradcheck(ROWS[name], (x, t))
    assert torch.autograd.gradgradcheck(ROWS[name], (x, t))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gradients_of_narrow_types_are_those_of_wide_ones_rounded(dtype):
    x = X.to(dtype)
    for function in (sigmax.sigmoid, sigmax.softmax, sigmax.log_softmax, sigmax.logit_softmax):
        narrow, wide = x.clone().requires_grad_(), x.double().requires_grad_()
        g = torch.linspace(-1, 2, 20, dtype=torch.float64).reshape(5, 4).to(dtype)
        function(narrow).backward(g)
        function(wide).backward(g.double())
        assert narrow.grad.dtype == dtype
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(narrow.grad.double(), wide.grad, rtol=4 * eps, atol=eps / 4)


def test_the_memory_of_a_tensor_is_used_as_it_is():
    big = torch.randn(64, 10)
    for view in (big.t(), big[::2, ::3], big.as_strided((10, 10), (0, 1))):
        for axis in (0, 1):
            wanted = sigmax.softmax(view.numpy(), axis=axis)
            np.testing.assert_array_equal(sigmax.softmax(view, axis=axis).numpy(), wanted)
    out = torch.empty(64, 10)
    assert sigmax.softmax(big, out=out) is out
    np.testing.assert_array_equal(out.numpy(), sigmax.softmax(big.numpy()))
    with pytest.raises(ValueError, match=r"out has shape \(3,\)"):
        sigmax.softmax(big, out=torch.empty(3))
    with pytest.raises(TypeError, match="complex64"):
        sigmax.softmax(torch.zeros(3, dtype=torch.complex64))


OPERATORS = {
    "sigmoid": (X,),
    "logitexp": (-X.abs(),),
    "softmax": (X, None, None, [1], torch.float64),
    "log_softmax": (X, T, MASK.expand(5, 4), [1], torch.float32),
    "logit_softmax": (X, None, None, [0], torch.float64),
    "softmax_complement": (X, None, None, [0, 1], torch.float64),
    "softmax_pullback": (X + 1, X, None, None, [1]),
    "log_softmax_pullback": (X + 1, X, T, None, [1]),
    "logsumexp": (X, None, None, [1], False, torch.float64),
    "cross_entropy": (X, Y, None, None, [1], 0.1, None, False),
    "cross_entropy_and_grad": (X, Y, T, None, [1], 0.0, 2, False),
    "reduced_cross_entropy": (X, Y, [1], 0.1, 2, True),
    "binary_cross_entropy": (X, torch.sigmoid(X), False),
    "binary_cross_entropy_and_grad": (X, torch.sigmoid(X), False),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opcheck(name):
    from sigmax.arrays import torch as adapter  # noqa: F401 - defines the operators

    differentiable = name not in ("cross_entropy", "binary_cross_entropy")
    args = [
        v.clone().requires_grad_() if differentiable and isinstance(v, torch.Tensor) and v.is_floating_point() else v
        for v in OPERATORS[name]
    ]
    results = torch.library.opcheck(getattr(torch.ops.sigmax, name).default, args)
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_without_a_graph_break():
    def step(x, t):
        p = sigmax.softmax(x, axis=0, temperature=2) + sigmax.sigmoid(x) * sigmax.log1mexp(-sigmax.softplus(x))
        loss = sigmax.cross_entropy(p, Y, temperature=t, label_smoothing=0.1)
        return loss.sum() + sigmax.logsumexp(x, axis=(0, 1)) + sigmax.logit_softmax(x, where=MASK)[:, :2].sum()

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    a, b = X.clone().requires_grad_(), X.clone().requires_grad_()
    plain, traced = step(a, T), compiled(b, T)
    assert plain.item() == traced.item()
    plain.backward()
    traced.backward()
    assert torch.equal(a.grad, b.grad)


def test_vmap_and_meta_tensors_and_gradients_per_row():
    for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logsumexp, sigmax.sigmoid):
        assert torch.equal(torch.func.vmap(function)(X), function(X))
        assert torch.equal(torch.func.vmap(function, in_dims=1)(X.t()), function(X))
    losses = torch.func.vmap(sigmax.cross_entropy)(X, Y)
    assert torch.equal(losses, sigmax.cross_entropy(X, Y))
    per_row = torch.func.vmap(torch.func.grad(sigmax.cross_entropy))(X, Y)
    assert torch.equal(per_row, sigmax.cross_entropy_and_grad(X, Y)[1])
    with pytest.raises(ValueError, match="label 9 in row 2 is not a class"):
        torch.func.vmap(sigmax.cross_entropy)(X, torch.tensor([0, 1, 9, 3, 0]))
    meta = torch.empty(3, 4, device="meta", dtype=torch.bfloat16)
    assert sigmax.softmax(meta, dtype=torch.float32).dtype == torch.float32
    assert sigmax.logsumexp(meta).shape == (3,)
    assert sigmax.odds(meta).device.type == "meta"


def test_the_gradient_by_the_temperature_leads_to_the_best_one():
    """What temperature scaling does: the temperature that divides too confident scores back."""
    generator = torch.Generator().manual_seed(1)
    honest = torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    y = torch.multinomial(sigmax.softmax(honest), 1, generator=generator)[:, 0]
    t = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([t], max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = sigmax.cross_entropy(4 * honest, y, temperature=t).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert abs(t.item() - 4) < 0.4
    assert abs(closure().item() - sigmax.cross_entropy(4 * honest, y, temperature=t.item()).mean().item()) < 1e-12
    assert abs(t.grad.item()) < 1e-6


@pytest.mark.parametrize("shape", [(4,), (6, 4), (3, 4, 5)])
def test_cross_entropy_loss_is_torchs(shape):
    generator = torch.Generator().manual_seed(2)
    for soft, weighted, smoothing, reduction in itertools.product((0, 1), (0, 1), (0.0, 0.2), ("mean", "sum", "none")):
        x = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        axis = 0 if len(shape) == 1 else 1
        rows = [n for i, n in enumerate(shape) if i != axis]
        if soft:
            y = torch.softmax(torch.randn(shape, dtype=torch.float64, generator=generator), axis)
        else:
            y = torch.randint(0, 4, rows, generator=generator)
            if rows:
                y.view(-1)[0] = -100
        weight = torch.rand(4, dtype=torch.float64, generator=generator) if weighted else None
        options = dict(reduction=reduction, label_smoothing=smoothing)
        ours = sigmax.torch.CrossEntropyLoss(weight, **options)(x, y)
        theirs = torch.nn.CrossEntropyLoss(weight, **options)(x, y)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
        gradients = [torch.autograd.grad(loss.sum(), x)[0] for loss in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("labels", [[0, 1, -100, 3, 0], [0, 1, 2, 3, 0]])
def test_cross_entropy_loss_has_second_derivatives_and_maps(labels):
    y = torch.tensor(labels)
    for reduction in ("mean", "sum", "none"):
        loss = sigmax.torch.CrossEntropyLoss(reduction=reduction)
        x = X.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, f=loss: f(x, y), x)
        assert torch.autograd.gradgradcheck(lambda x, f=loss: f(x, y), x)
        several = torch.stack([X, X + 1])
        mapped = torch.func.vmap(torch.func.grad(lambda x, f=loss: f(x, y).sum()))(several)
        for part, mine in zip(mapped, several, strict=True):
            x = mine.clone().requires_grad_()
            loss(x, y).sum().backward()
            torch.testing.assert_close(part, x.grad, rtol=1e-13, atol=1e-15)
    empty = sigmax.torch.CrossEntropyLoss()(X.clone().requires_grad_(), torch.full((5,), -100))
    assert torch.isnan(empty)  # as torch has it


def test_the_other_modules_are_torchs():
    generator = torch.Generator().manual_seed(3)
    y = torch.rand(5, 4, dtype=torch.float64, generator=generator)
    weights = (None, torch.rand(4, dtype=torch.float64, generator=generator))
    for weight, positive, reduction in itertools.product(weights, weights, ("mean", "sum", "none")):
        options = dict(reduction=reduction, pos_weight=positive)
        ours, theirs = sigmax.torch.BCEWithLogitsLoss(weight, **options), torch.nn.BCEWithLogitsLoss(weight, **options)
        torch.testing.assert_close(ours(X, y), theirs(X, y), rtol=1e-12, atol=1e-13)
    for name, arguments in (
        ("Sigmoid", ()),
        ("LogSigmoid", ()),
        ("Softplus", (2.0, 50.0)),
        ("Softmax", (0,)),
        ("LogSoftmax", (1,)),
    ):
        ours, theirs = getattr(sigmax.torch, name)(*arguments), getattr(torch.nn, name)(*arguments)
        assert isinstance(ours, type(theirs))
        torch.testing.assert_close(ours(X), theirs(X), rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match=r"\(3,\).*\(5, 4\)"):
        sigmax.torch.BCEWithLogitsLoss()(X, torch.zeros(3))


def test_tensors_elsewhere_get_the_same_functions(monkeypatch):
    """On another device torch's operations are used; here they are made to, on the CPU."""
    from sigmax.arrays.torch import memory

    monkeypatch.setattr(memory, "is_native", lambda x: False)
    x, t = X.clone().requires_grad_(), T.clone().requires_grad_()
    for name, function in ROWS.items():
        assert torch.autograd.gradcheck(function, (x, t)), name
    confident = torch.tensor([50.0, 0.0, -3.0], dtype=torch.float64, requires_grad=True)
    sigmax.log_softmax(confident)[0].backward()
    assert abs(confident.grad[0].item() / 2.0248e-22 - 1) < 0.01
    for name in LINKS:
        np.testing.assert_allclose(
            getattr(sigmax, name)(domain(name)).numpy(), getattr(sigmax, name)(domain(name).numpy()), rtol=2e-15
        )


def test_torch_compile_knows_the_ufuncs_whichever_comes_first():
    program = """
{}
import torch
f = torch.compile(lambda x: sigmax.sigmoid(x) + sigmax.odds(x), fullgraph=True, backend="eager")
print(f(torch.tensor([0.0])).tolist())
"""
    for imports in ("import sigmax.torch", "import torch._dynamo\nimport sigmax.torch"):
        done = subprocess.run([sys.executable, "-c", program.format(imports)], capture_output=True, text=True)
        assert done.stdout == "[0.5]\n", done.stderr[-2000:]


def of_first(function):
    """The first result alone, of a pair."""
    return lambda *args: r[0] if isinstance(r := function(*args), tuple) else r


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", ROWS)
def test_forward_mode_agrees_with_backward(name):
    function = ROWS[name]
    x, t = X.clone().requires_grad_(), T.clone().requires_grad_()
    assert torch.autograd.gradcheck(function, (x, t), check_forward_ad=True)
    first = of_first(function)
    torch.testing.assert_close(torch.func.jacfwd(first)(X, T), torch.func.jacrev(first)(X, T), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        torch.func.jacfwd(first, argnums=1)(X, T), torch.func.jacrev(first, argnums=1)(X, T), rtol=1e-12, atol=1e-13
    )
    twice = torch.func.hessian(lambda v: first(v, T).sum())(X)  # forward over backward
    torch.testing.assert_close(
        twice, torch.func.jacrev(torch.func.jacrev(lambda v: first(v, T).sum()))(X), rtol=1e-11, atol=1e-13
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", LINKS)
def test_elementwise_functions_have_forward_mode(name):
    x = domain(name).clone().requires_grad_()
    assert torch.autograd.gradcheck(getattr(sigmax, name), x, check_forward_ad=True)


def test_a_loss_inside_vmap_has_its_gradient():
    """An ensemble: what is differentiated by is not seen inside, and used to get the operator without a derivative."""
    w = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    label, soft = torch.tensor(1), torch.softmax(w[0], 0)
    for loss in (
        lambda v: sigmax.cross_entropy(v, label),
        lambda v: sigmax.cross_entropy(v, soft),
        lambda v: sigmax.binary_cross_entropy(v, soft).sum(),
        lambda v: sigmax.torch.CrossEntropyLoss()(v[None], label[None]),
        lambda v: sigmax.torch.CrossEntropyLoss(ignore_index=1)(v[None], label[None]),
    ):
        wanted = torch.stack([torch.func.grad(loss)(row) for row in w])
        got = torch.func.grad(lambda w, f=loss: torch.func.vmap(f)(w).sum())(w)
        torch.testing.assert_close(got, wanted, rtol=1e-14, atol=0)
        x = w.clone().requires_grad_()
        torch.func.vmap(loss)(x).sum().backward()
        torch.testing.assert_close(x.grad, wanted, rtol=1e-14, atol=0)


@pytest.fixture
def no_exchange():
    """As where PyTorch does not offer DLPack's exchange: a function of nothing, for the moment from which that is so."""
    yield lambda: _native.set_exchange(None)
    assert _native.set_exchange(torch.Tensor.__dlpack_c_exchange_api__)


@pytest.fixture
def followed():
    """As where somebody follows what is done with tensors."""
    yield lambda: _native.set_tensors(*adapter.STRAIGHT[:1], (lambda: True,), *adapter.STRAIGHT[2:])
    _native.set_tensors(*adapter.STRAIGHT)


ALONE = [*LINKS, "softmax", "log_softmax", "logit_softmax", "logsumexp"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ALONE)
def test_a_plain_tensor_goes_straight_to_the_core(name, dtype, monkeypatch):
    """Past the dispatcher, with the same bits, kind and shape; a number, another order of memory or axis take the other way."""
    function = getattr(sigmax, name)
    x = (domain(name) if name in LINKS else X).to(dtype)
    slow = function(x.clone().requires_grad_()).detach()
    cases = [x, x[:0], x[1], x[::2], torch.stack([x, x], -1)[..., 0], torch.nn.Parameter(x, requires_grad=False)]
    wanted = [function(v.clone().requires_grad_()).detach() for v in cases]
    found = [function(v) for v in cases]
    for got, want in zip(found, wanted, strict=True):
        assert (type(got), got.dtype, got.requires_grad) == (torch.Tensor, dtype, False)
        torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)
    if dtype != torch.bfloat16:  # NumPy has it not
        monkeypatch.setattr(torch.ops, "sigmax", None)
        monkeypatch.setattr("sigmax.arrays.torch.arguments.torch", None)
        torch.testing.assert_close(function(x), slow, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*LINKS, "softmax", "log_softmax"])
def test_the_straight_derivative_is_the_operators(name, dtype, followed):
    x = (domain(name) if name in LINKS else X).to(dtype).clone()
    x[0] = math.nan  # a number, or a row
    x.requires_grad_()
    generator = torch.Generator().manual_seed(3)
    several = [torch.randn(x.shape, generator=generator, dtype=dtype), torch.ones(1, dtype=dtype).expand(x.shape)]
    several.append(torch.stack([several[0], several[0]], -1)[..., 1])
    function = getattr(sigmax, name)
    found = [torch.autograd.grad(function(x), x, g)[0] for g in several]
    mapped = torch.autograd.grad(function(x), x, torch.stack(several), is_grads_batched=True)[0]
    followed()
    for got, batched, g in zip(found, mapped, several, strict=True):
        (want,) = torch.autograd.grad(function(x), x, g)
        torch.testing.assert_close(got, want, rtol=4 * torch.finfo(dtype).eps, atol=0, equal_nan=True)
        torch.testing.assert_close(batched, want, rtol=4 * torch.finfo(dtype).eps, atol=0, equal_nan=True)
        assert got[0].isnan().all()


def test_a_result_may_be_changed_in_place_before_its_derivative():
    for name in ("sigmoid", "logit", "softmax"):
        x = (domain(name) if name in LINKS else X).clone().requires_grad_()
        (want,) = torch.autograd.grad((getattr(sigmax, name)(x) * 2).sum(), x)
        y = getattr(sigmax, name)(x)
        with torch.no_grad():
            y.fill_(math.nan)
        (got,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(2 * got, want, rtol=1e-15, atol=0)
        z = x * 1
        y = getattr(sigmax, name)(z)
        z.add_(1)  # what it was made of is needed, and that it has changed is noticed
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_nothing_is_said_of_a_tensor_outside_the_domain():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.isnan(sigmax.logit(torch.tensor([2.0, -1.0]))).all()
        assert sigmax.log1mexp(torch.tensor([0.0])).item() == -math.inf
    for small in (1, 5000):  # of arrays NumPy says it
        with (
            np.errstate(invalid="raise"),
            pytest.raises(FloatingPointError, match="invalid value encountered in logit"),
        ):
            sigmax.logit(np.full(small, 2.0))
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
            sigmax.logit(np.zeros(small, np.float32))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ALONE)
def test_whoever_watches_a_plain_tensor_sees_the_call(name):
    function = lambda v: getattr(sigmax, name)(v)  # noqa: E731, PLW0108
    x = domain(name) if name in LINKS else X
    other = x / 2
    assert torch.equal(torch.jit.trace(function, (x,), check_trace=False)(other), function(other))
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert isinstance(function(x), FakeTensor)
    with forward_ad.dual_level():
        dual = function(forward_ad.make_dual(x, torch.ones_like(x)))
        assert forward_ad.unpack_dual(dual).tangent is not None
    assert torch.equal(torch.func.vmap(function)(torch.stack([x, other]))[1], function(other))
    assert torch.func.grad(lambda v: function(v).sum())(x).shape == x.shape

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, op, kinds, args=(), kwargs=None):
            called.append(str(op))
            return op(*args, **(kwargs or {}))

    called = []
    with Seen():
        function(x)
    assert f"sigmax.{name}.default" in called


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "options", [{}, {"reduction": "sum"}, {"reduction": "none"}, {"weight": torch.rand(4, dtype=torch.float64)}]
)
def test_a_traced_loss_keeps_its_gradient(options):
    for ours, theirs, y in (
        (sigmax.torch.CrossEntropyLoss, torch.nn.CrossEntropyLoss, Y),
        (sigmax.torch.BCEWithLogitsLoss, torch.nn.BCEWithLogitsLoss, torch.sigmoid(X)),
    ):
        traced = torch.jit.trace(ours(**options), (X, y), check_trace=False)  # with scores that ask for no gradient
        x = (X / 3).requires_grad_()
        got, want = (torch.autograd.grad(loss(x, y).sum(), x)[0] for loss in (traced, theirs(**options)))
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (64, 10), (30, 700)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_usual_mean_loss_is_that_of_the_rows(dtype, size, smoothing):
    generator = torch.Generator().manual_seed(5)
    x = (torch.randn(size, generator=generator, dtype=torch.float64) * 4).to(dtype)
    y = torch.randint(0, size[1], size[:1], generator=generator)
    loss = sigmax.torch.CrossEntropyLoss(label_smoothing=smoothing)
    rows, slopes = sigmax.cross_entropy_and_grad(x, y, label_smoothing=smoothing)
    want = math.fsum(rows.tolist()) / len(y)
    x.requires_grad_()
    for _ in range(2):
        found = loss(x, y)
        assert (found.dtype, found.shape, found.requires_grad) == (dtype, (), True)
        assert found.item() == pytest.approx(want, rel=torch.finfo(dtype).eps)
        x.grad = None
        (found * 3).backward(retain_graph=True)
        torch.testing.assert_close(x.grad, slopes * (3 / len(y)), rtol=2 * torch.finfo(dtype).eps, atol=0)
        (found * 3).backward()  # once more adds as much again
        torch.testing.assert_close(x.grad, slopes * (6 / len(y)), rtol=2 * torch.finfo(dtype).eps, atol=0)
    with torch.no_grad():
        assert loss(x, y).item() == found.item()
        assert not loss(x, y).requires_grad
    several = torch.autograd.grad(loss(x, y), x, torch.tensor([1.0, 2.0], dtype=dtype), is_grads_batched=True)[0]
    torch.testing.assert_close(several[1], 2 * several[0])
    y[0] = size[1]
    with pytest.raises(ValueError, match="is not a class"):
        loss(x, y)
    x.data[0, 0] = math.nan
    y[0] = 0
    assert loss(x, y).isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (64, 10), (30, 700)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_usual_mean_of_soft_labels_is_that_of_the_rows(dtype, size, smoothing, monkeypatch):
    generator = torch.Generator().manual_seed(6)
    x = (torch.randn(size, generator=generator, dtype=torch.float64) * 4).to(dtype)
    q = torch.softmax(torch.randn(size, generator=generator, dtype=torch.float64) * 3, -1).to(dtype)
    q[0] = 0
    q[0, -1] = 1
    loss = sigmax.torch.CrossEntropyLoss(label_smoothing=smoothing)
    rows, slopes = sigmax.cross_entropy_and_grad(x, q, label_smoothing=smoothing)
    x.requires_grad_()
    calls = []
    usual = losses.mean_on_tensors
    monkeypatch.setattr(losses, "mean_on_tensors", lambda *a: calls.append(usual(*a)) or calls[-1])
    found = loss(x, q)
    assert calls[-1] is not None  # the short way was gone
    assert found.item() == pytest.approx(math.fsum(rows.tolist()) / len(q), rel=torch.finfo(dtype).eps)
    (found * 3).backward()
    torch.testing.assert_close(x.grad, slopes * (3 / len(q)), rtol=2 * torch.finfo(dtype).eps, atol=0)
    with torch.no_grad():
        assert loss(x, q).item() == found.item()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(
            losses, "mean_on_tensors", lambda *_: None
        )  # as where PyTorch does not offer that, or of large tensors
        assert loss(x, q).item() == found.item()
    if dtype == torch.float64 and size == (3, 4):
        assert torch.autograd.gradgradcheck(lambda v: loss(v, q), x.detach().requires_grad_())
    for wrong, message in (
        (q * 0.9, "sum to 0.9"),
        (-q, "is not a probability"),
        (q * math.nan, "is not a probability"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(x, wrong)
    unchecked = sigmax.torch.CrossEntropyLoss(check_labels=False)
    tripled = 3 * math.fsum(sigmax.cross_entropy(x.detach(), q).tolist()) / len(q)
    assert unchecked(x, q * 3).item() == pytest.approx(tripled, rel=1e-5)
    with pytest.raises(ValueError, match="no class to ignore"):
        sigmax.torch.CrossEntropyLoss(ignore_index=0)(x, q)
    learned = q.clone().requires_grad_()  # whose derivative is asked for too
    sigmax.torch.CrossEntropyLoss()(x, learned).backward()
    torch.testing.assert_close(
        learned.grad, -torch.log_softmax(x.double(), -1).to(dtype) / len(q), rtol=1e-4, atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logit_softmax", "logsumexp", "sigmoid", "cross_entropy"])
def test_several_gradients_at_once_and_other_transformations(name):
    # make_fx looks at the signature: one argument
    function = {"cross_entropy": lambda v: sigmax.cross_entropy(v, Y)}.get(name, lambda v: getattr(sigmax, name)(v))  # noqa: PLW0108
    jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
    one_by_one = jacobian(function, X)
    torch.testing.assert_close(jacobian(function, X, vectorize=True), one_by_one, rtol=1e-13, atol=1e-15)
    forward = jacobian(function, X, vectorize=True, strategy="forward-mode")
    torch.testing.assert_close(forward, one_by_one, rtol=1e-12, atol=1e-14)
    squared = lambda v: (function(v) ** 2).sum()  # noqa: E731
    torch.testing.assert_close(hessian(squared, X, vectorize=True), hessian(squared, X), rtol=1e-12, atol=1e-13)
    x = X.clone().requires_grad_()
    y = function(x)
    (got,) = torch.autograd.grad(y, x, torch.stack([torch.ones_like(y), 2 * torch.ones_like(y)]), is_grads_batched=True)
    torch.testing.assert_close(got[1], 2 * got[0], rtol=1e-13, atol=1e-15)
    # a view with the negative bit, functionalization, symbolic sizes
    torch.testing.assert_close(function(torch.complex(X, -X).conj().imag), function(X), rtol=0, atol=0)
    torch.testing.assert_close(torch.func.functionalize(function)(X), function(X), rtol=0, atol=0)
    if name != "cross_entropy":  # whose labels are no part of what is traced
        from torch.fx.experimental.proxy_tensor import make_fx

        for mode in ("real", "fake", "symbolic"):
            torch.testing.assert_close(make_fx(function, tracing_mode=mode)(X)(X), function(X), rtol=0, atol=0)
    dynamic = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=True)
    torch.testing.assert_close(dynamic(X), function(X), rtol=0, atol=0)


def test_modules_are_traced_by_fx():
    several = torch.nn.Sequential(
        torch.nn.Linear(4, 4), sigmax.torch.Softmax(1), sigmax.torch.Sigmoid(), sigmax.torch.LogSoftmax(-1)
    )
    traced = torch.fx.symbolic_trace(several)
    x = X.float()
    assert torch.equal(traced(x), several(x))
    assert {"softmax", "sigmoid", "log_softmax"} <= {getattr(n.target, "__name__", "") for n in traced.graph.nodes}


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("import torch\nimport sigmax", "sigmax.softmax(x)"),
        ("import sigmax.torch", "sigmax.odds(x)"),
        ("import torch\nimport sigmax", "sigmax.cross_entropy(x, torch.tensor([0, 1]))"),
        ("import sigmax", "sigmax.log_softmax(sigmax.sigmoid(x))"),
        ("import sigmax\nimport torch._dynamo", "sigmax.softmax(x)"),
    ],
)
def test_the_first_call_of_a_process_may_be_compiled(imports, call):
    program = f"{imports}\nimport torch\nf = torch.compile(lambda x: {call}, fullgraph=True, backend='eager')\n"
    program += f"x = torch.zeros(2, 2)\ny = f(x)\nassert torch.equal(y, {call})\nprint('compiled')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "compiled\n", done.stderr[-1500:]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_forward_mode_on_other_devices(monkeypatch):
    from sigmax.arrays.torch import memory

    monkeypatch.setattr(memory, "is_native", lambda x: False)
    for name in ("softmax", "log_softmax", "logit_softmax", "cross_entropy"):
        first = of_first(ROWS[name])
        torch.testing.assert_close(
            torch.func.jacfwd(first)(X, T), torch.func.jacrev(first)(X, T), rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize(
    ("dtype", "score"), [(torch.float16, 20.0), (torch.bfloat16, 40.0), (torch.float32, 110.0), (torch.float64, 800.0)]
)
def test_a_confident_class_keeps_the_gradients_of_its_log_odds(dtype, score):
    """1 - p is too small a number there; what the others share of it is not."""
    x = torch.tensor([score, 0.0, 0.0], dtype=dtype, requires_grad=True)
    for k, wanted in enumerate([[1, -0.5, -0.5], [-1, 1, 0], [-1, 0, 1]]):
        got = torch.autograd.grad(sigmax.logit_softmax(x)[k], x)[0]
        torch.testing.assert_close(got, torch.tensor(wanted, dtype=dtype), rtol=0, atol=5e-9)  # e^-20
    for k, wanted in enumerate([[-1, 0.5, 0.5], [0, 0, 0], [0, 0, 0]]):
        got = torch.autograd.grad(sigmax.log_softmax(x, complement=True)[k], x)[0]
        torch.testing.assert_close(got, torch.tensor(wanted, dtype=dtype), rtol=0, atol=5e-9)  # e^-20
    alone = torch.tensor([True, False, False])
    for function in (
        lambda v: sigmax.logit_softmax(v, where=alone),
        lambda v: sigmax.log_softmax(v, where=alone, complement=True),
    ):
        assert (torch.autograd.grad(function(x)[1], x)[0] == 0).all()
        assert (torch.autograd.grad(function(x)[0], x)[0] == 0).all()


def test_losses_refuse_what_torch_refuses():
    scores, labels = torch.zeros(4, 3), torch.tensor([0, 1, 2, 1])
    soft = torch.full((4, 3), 1 / 3)
    loss, binary = sigmax.torch.CrossEntropyLoss, sigmax.torch.BCEWithLogitsLoss
    for call, said in [
        (lambda: loss(torch.ones(5))(scores, labels), r"weight has shape \(5,\); there are 3 classes"),
        (lambda: loss(torch.ones(1))(scores, soft), r"weight has shape \(1,\)"),
        (lambda: loss(ignore_index=0)(scores, soft), "probabilities as labels have no class to ignore"),
        (lambda: loss(torch.ones(3), label_smoothing=1.5)(scores, labels), "label_smoothing is 1.5"),
        (lambda: loss(label_smoothing=1.0)(scores, labels), "label_smoothing is 1.0"),
        (lambda: loss(torch.ones(3), label_smoothing=1.0)(scores, labels), "label_smoothing is 1.0"),
        (lambda: loss()(scores, labels > 0), "labels have dtype bool"),
        (lambda: binary(torch.ones(2, 4, 3))(scores, soft), r"weight of shape \(2, 4, 3\) does not broadcast"),
        (lambda: binary(pos_weight=torch.ones(2, 4, 3))(scores, soft), "pos_weight of shape"),
        (lambda: binary(pos_weight=torch.ones(3))(scores, soft * 6), "is not a probability"),
    ]:
        with pytest.raises((ValueError, TypeError), match=said):
            call()


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_labels_of_any_integer_type(kind):
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(4, 200, dtype=torch.float64, generator=generator, requires_grad=True)
    y = torch.tensor([1, 1, 2, 100])
    y = torch.tensor([156, 156, 2, 1]) if kind == torch.uint8 else y  # -100 in eight bits
    weight = torch.rand(200, dtype=torch.float64, generator=generator)
    for w in (None, weight):
        ours = sigmax.torch.CrossEntropyLoss(w)(x, y.to(kind))
        theirs = torch.nn.CrossEntropyLoss(w)(x, y)
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0)
        a, b = (torch.autograd.grad(value, x)[0] for value in (ours, theirs))
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-16)


def test_weighted_losses_map_over_rows_and_large_halves_do_not_overflow():
    loss = sigmax.torch.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64))
    per_row = torch.func.vmap(torch.func.grad(loss))(X, Y)
    for row, label, got in zip(X, Y, per_row, strict=True):
        torch.testing.assert_close(got, torch.func.grad(lambda v, t=label: loss(v, t))(row), rtol=1e-14, atol=0)
    wide = (torch.randn(1, 50_000, 4, generator=torch.Generator().manual_seed(7)) * 20).half()
    labels = torch.zeros(1, 50_000, dtype=torch.long)
    (value,) = torch.func.vmap(sigmax.torch.CrossEntropyLoss())(wide, labels)
    assert value == sigmax.torch.CrossEntropyLoss()(wide[0], labels[0])


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)])
def test_labels_that_are_no_probabilities_are_taken_where_that_is_said(weight):
    wrong = torch.rand(5, 4, dtype=torch.float64) * 3
    with pytest.raises(ValueError, match="is not a probability|sum to"):
        sigmax.torch.CrossEntropyLoss(weight)(X, wrong)
    whole = torch.softmax(wrong, -1) * 3
    with pytest.raises(ValueError, match=r"row 0 sum to 3, and those of a label sum to 1|is not a probability"):
        sigmax.torch.CrossEntropyLoss(weight)(X, whole)
    for labels in (wrong, whole):
        found = sigmax.torch.CrossEntropyLoss(weight, check_labels=False)(X, labels)
        torch.testing.assert_close(found, torch.nn.CrossEntropyLoss(weight)(X, labels), rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match="is not a probability"):
        sigmax.torch.BCEWithLogitsLoss(pos_weight=weight)(X, wrong)
    x = X.clone().requires_grad_()
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=weight)(x, wrong)
    ours = sigmax.torch.BCEWithLogitsLoss(pos_weight=weight, check_labels=False)(x, wrong)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0)
    torch.testing.assert_close(torch.autograd.grad(ours, x), torch.autograd.grad(theirs, x), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logit_softmax", "sigmoid"])
def test_channels_last_is_kept(name):
    x = torch.randn(2, 5, 4, 3, dtype=torch.float32, generator=torch.Generator().manual_seed(9))
    last = x.contiguous(memory_format=torch.channels_last)
    options = {} if name == "sigmoid" else {"axis": 1}
    function = getattr(sigmax, name)

    def call(v):
        return function(v, **options)

    plain = call(x)
    for run in (call, torch.compile(call, backend="aot_eager", fullgraph=True)):
        got = run(last)
        assert got.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(got, plain)
    given = last.clone(memory_format=torch.preserve_format).requires_grad_()
    (gradient,) = torch.autograd.grad(call(given).square().sum(), given)
    (wanted,) = torch.autograd.grad(call(x.requires_grad_()).square().sum(), x)
    torch.testing.assert_close(gradient, wanted, rtol=1e-6, atol=1e-7)
    turned = x.detach().transpose(1, 3)  # any other order as well
    options = {} if name == "sigmoid" else {"axis": 3}
    assert function(turned, **options).stride() == turned.stride()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_forward_over_forward_is_refused_and_not_0():
    def loss(v):
        return sigmax.cross_entropy(v, torch.tensor([0, 1, 2, 3, 0])).sum()

    for function in (loss, lambda v: sigmax.sigmoid(v).sum(), lambda v: sigmax.log_softmax(v).sum()):
        with pytest.raises(NotImplementedError, match="take one of the two backwards, as torch.func.hessian does"):
            torch.func.jacfwd(torch.func.jacfwd(function))(X)
        hessians = torch.func.hessian(function)(X), torch.func.jacrev(torch.func.jacrev(function))(X)
        torch.testing.assert_close(*hessians, rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logit_softmax", "log complement"])
def test_derivatives_of_a_row_with_nan_are_nan_and_at_temperature_0_they_are_0(name):
    def function(v, **options):
        if name == "log complement":
            return sigmax.log_softmax(v, complement=True, **options)
        return getattr(sigmax, name)(v, **options)

    x = torch.tensor([[0.0, math.nan, 1.0], [0.0, 2.0, 1.0]], dtype=torch.float64)
    ones = torch.ones_like(x) * torch.arange(3)
    for got in (
        torch.func.grad(lambda v: (function(v) * ones).sum())(x),
        torch.func.jvp(function, (x,), (ones,))[1],
    ):
        assert torch.isnan(got[0]).all()
        assert torch.isfinite(got[1]).all()
    steps = torch.func.grad(lambda v: function(v, temperature=0.0)[1, 1])(x)
    assert steps[1].tolist() == [0, 0, 0]


def test_smoothing_is_spread_over_possible_classes_with_weights_as_without():
    x = torch.tensor([[1.0, 2.0, -math.inf]], dtype=torch.float64, requires_grad=True)
    found = []
    for weight in (None, torch.ones(3, dtype=torch.float64)):
        loss = sigmax.torch.CrossEntropyLoss(weight, label_smoothing=0.1)(x, torch.tensor([1]))
        found.append((loss.detach(), *torch.autograd.grad(loss, x)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-13, atol=1e-15)
    assert found[1][0].item() == pytest.approx(0.36326168, abs=1e-7)


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)])
def test_losses_are_written_down_by_fx(weight):
    class Model(torch.nn.Module):
        def __init__(self, loss):
            super().__init__()
            self.loss = loss

        def forward(self, x, y):
            return self.loss(2 * x, y)

    for loss, y in (
        (sigmax.torch.CrossEntropyLoss(weight, reduction="sum"), torch.tensor([0, 1, 2, 3, 0])),
        (sigmax.torch.BCEWithLogitsLoss(pos_weight=weight), torch.rand(5, 4, dtype=torch.float64)),
    ):
        graph = torch.fx.symbolic_trace(Model(loss))
        assert torch.equal(graph(X, y), loss(2 * X, y))
        assert isinstance(loss, getattr(torch.nn, type(loss).__name__))


@pytest.mark.parametrize(
    "gone",
    [
        "torch._dynamo.variables.PolyfilledFunctionVariable",
        "torch._C._are_functorch_transforms_active torch._C._len_torch_dispatch_stack",
        "torch._C._is_tracing",
    ],
)
def test_private_names_of_torch_may_go(gone):
    """The graph breaks at a ufunc, or a call takes the slow way; nothing raises, and the numbers and derivatives are the same."""
    program = f"""
import torch, torch._dynamo.variables, torch._functorch.apis, torch.func
names = [name.rpartition(".") for name in "{gone}".split()]
kept = [getattr(eval(place), attribute) for place, _, attribute in names]
for place, _, attribute in names:
    delattr(eval(place), attribute)
import sigmax.torch
for (place, _, attribute), value in zip(names, kept):  # PyTorch itself could not do without
    setattr(eval(place), attribute, value)
x = torch.linspace(-3, 3, 6).reshape(2, 3).requires_grad_()
y = sigmax.softmax(x) * sigmax.sigmoid(x)
y.sum().backward()
if "dynamo" in "{gone}":
    assert torch.equal(torch.compile(lambda x: sigmax.softmax(x) * sigmax.sigmoid(x), backend="eager")(x), y)
assert torch.autograd.gradcheck(sigmax.log_softmax, x.detach().double().requires_grad_())
loss = sigmax.torch.CrossEntropyLoss()(x, torch.tensor([0, 2]))
print(round(x.grad.sum().item(), 5), round(loss.item(), 5))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    x = X.new_tensor(np.linspace(-3, 3, 6).reshape(2, 3), dtype=torch.float32).requires_grad_()
    (sigmax.softmax(x) * sigmax.sigmoid(x)).sum().backward()
    wanted = f"{round(x.grad.sum().item(), 5)} {round(sigmax.cross_entropy(x, torch.tensor([0, 2])).mean().item(), 5)}"
    assert done.stdout.split("\n")[0] == wanted, done.stderr[-2000:]


def test_at_temperature_0_a_step_has_no_slope_by_the_temperature():
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 0.5], dtype=torch.float64, requires_grad=True)
    share = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    gx, gt = torch.autograd.grad((sigmax.softmax(x, temperature=t) * share).sum(), (x, t))
    assert gx[0].tolist() == [0, 0, 0]
    assert gt[0] == 0
    assert gt[1] != 0
    tangent = torch.func.jvp(lambda v: sigmax.softmax(x.detach(), temperature=v), (t.detach(),), (torch.ones_like(t),))[
        1
    ]
    assert tangent[0].tolist() == [0, 0, 0]
    torch.testing.assert_close(tangent[1] @ share, gt[1])


@pytest.mark.parametrize("shape", [(1, 5), (7, 9), (4, 5)])
def test_a_symbolic_trace_of_the_loss_of_two_classes_takes_other_shapes(shape):
    def slope(x, y):
        return torch.func.grad(lambda z: sigmax.binary_cross_entropy(z, y).sum())(x)

    from torch.fx.experimental.proxy_tensor import make_fx

    x, y = torch.randn(4, 5), torch.rand(4, 5)
    traced = make_fx(slope, tracing_mode="symbolic")(x, y)
    x, y = torch.randn(shape), torch.rand(shape)
    torch.testing.assert_close(traced(x, y), slope(x, y))


@pytest.mark.parametrize("error", [KeyError, RuntimeError, AssertionError, ImportError])
def test_dynamo_may_raise_whatever_it_likes(monkeypatch, error):
    from torch._dynamo.variables.builder import VariableBuilder

    from sigmax.arrays.torch import compiling

    def fails():
        raise error("changed")

    monkeypatch.setattr(VariableBuilder, "_id_dispatch", fails)
    assert compiling._tell() is None


def test_wrong_labels_without_values_are_refused_by_their_kind():
    with pytest.raises(TypeError, match="are not integers"):
        sigmax.cross_entropy(torch.zeros(2, 3, device="meta"), torch.zeros(2, device="meta"))


# ---- straight from a tensor's memory to a tensor ----


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_plain_tensor_gets_the_bits_of_every_other_way(dtype, no_exchange):
    torch.manual_seed(0)
    base = (torch.randn(6, 8, dtype=torch.float64) * 3).to(dtype)
    given = {
        "rows": base,
        "one row": base[0],
        "a part": base[1:4],
        "turned": base.T,
        "every other": base[:, ::2],
        "one number": base[0, 0],
        "one row of a matrix across memory": base.T[:, :1],
        "spread out": base[:1].expand(3, 8),
        "nothing": base[:0],
        "large": base.repeat(20_000, 3),
        "with an offset": base.flatten()[3:11],
        "negated": torch._neg_view(base),
        "a result": sigmax.softmax(base),
        "frozen": torch.nn.Parameter(base, requires_grad=False),
    }
    names = ("softmax", "log_softmax", "logit_softmax", "logsumexp", "sigmoid", "softplus")
    quick = {(k, n): getattr(sigmax, n)(x) for k, x in given.items() for n in names}
    no_exchange()
    for (k, n), y in quick.items():
        wanted = getattr(sigmax, n)(given[k].clone())
        assert type(y) is torch.Tensor, (k, n)
        assert (y.dtype, y.shape, y.requires_grad) == (wanted.dtype, wanted.shape, False), (k, n)
        assert torch.equal(y, wanted), (k, n)


def test_results_own_their_memory():
    """They outlive the tensor they come from, can be written to, and give their memory back."""
    x = torch.randn(1000)
    kept = [sigmax.softmax(x.clone()) for _ in range(50)]
    wanted = sigmax.softmax(x.double()).float()
    kept[0].mul_(2)
    assert all(torch.allclose(y, wanted) for y in kept[1:])
    assert len({y.data_ptr() for y in kept}) == 50
    assert all(y.data_ptr() % 64 == 0 for y in kept)
    before = peak_memory()
    for _ in range(20_000):
        sigmax.softmax(x)
    assert peak_memory() - before < 20_000 * 4000 / 4


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_derived_tensor_keeps_its_derivative():
    x = torch.randn(10, requires_grad=True)
    y = sigmax.softmax(x)
    assert y.requires_grad
    (g,) = torch.autograd.grad(y[0], x)
    assert torch.allclose(g, torch.autograd.grad(torch.softmax(x, -1)[0], x)[0], atol=1e-6)
    with torch.no_grad():
        assert not sigmax.softmax(x).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_step_of_training_has_the_bits_of_every_other_way(dtype, smoothing, monkeypatch):
    torch.manual_seed(1)
    base, y = torch.randn(40, 30, dtype=dtype) * 3, torch.randint(0, 30, (40,))
    loss = sigmax.torch.CrossEntropyLoss(label_smoothing=smoothing)
    given = {"rows": base, "turned": base.T[:30, :30], "negated": torch._neg_view(base), "a part": base[3:9]}

    def step(x, factor):
        x = x.detach().requires_grad_()
        value = loss(x, y[: len(x)])
        (value * factor).backward()
        return value.detach(), x.grad

    steps = {(k, f): step(x, f) for k, x in given.items() for f in (1, 0.3)}
    with torch.no_grad():
        alone = {k: loss(x, y[: len(x)]) for k, x in given.items()}
    monkeypatch.setattr(losses, "mean_on_tensors", lambda *_: None)  # as where PyTorch does not offer that
    monkeypatch.setattr(losses, "scaled_tensor", lambda *_: None)
    for (k, f), (value, grad) in steps.items():
        wanted, wanted_grad = step(given[k].clone(), f)
        assert torch.equal(value, wanted), k
        assert k not in ("rows", "a part") or torch.equal(value, alone[k]), k
        assert torch.equal(grad, wanted_grad), (k, f)
        assert grad.shape == given[k].shape


@pytest.mark.parametrize("label", [-1, 30, -100, 2**40])
def test_a_wrong_label_of_a_step_is_what_it_is_elsewhere(label):
    x, y = torch.randn(40, 30, requires_grad=True), torch.randint(0, 30, (40,))
    y[7] = label
    ours, theirs = sigmax.torch.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    if label == -100:  # the one that is passed over
        torch.testing.assert_close(ours(x, y), theirs(x, y))
        torch.testing.assert_close(torch.autograd.grad(ours(x, y), x)[0], torch.autograd.grad(theirs(x, y), x)[0])
    else:
        with pytest.raises(ValueError, match=f"label {label} in row 7 is not a class"):
            ours(x, y)


def test_results_with_a_derivative_may_be_changed_in_place():
    x, y = torch.randn(8, 5, requires_grad=True), torch.randint(0, 5, (8,))
    for function in (sigmax.softmax, sigmax.log_softmax, lambda v: sigmax.torch.CrossEntropyLoss()(v, y)):
        plain, changed = function(x), function(x)
        assert not changed._is_view()
        changed.mul_(2).add_(1)
        assert torch.equal(changed, plain * 2 + 1)
        (g,), (wanted,) = (torch.autograd.grad((r**2).sum(), x) for r in (changed, plain * 2 + 1))
        torch.testing.assert_close(g, wanted)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pullbacks_of_tensors_have_the_bits_of_every_other_way(name, dtype, no_exchange):
    torch.manual_seed(2)
    function = getattr(sigmax, name)
    base = torch.randn(6, 9, dtype=dtype) * 3
    rows = {"rows": base, "one": base[0], "turned": base.T, "negated": torch._neg_view(base)}
    gradients = {
        "dense": lambda v: torch.randn(v.shape, dtype=dtype, generator=torch.Generator().manual_seed(3)),
        "one number": lambda v: torch.tensor(0.25, dtype=dtype).expand(v.shape),
        "one a row": lambda v: torch.arange(len(v), dtype=dtype).reshape(-1, *[1] * (v.ndim - 1)).expand(v.shape),
        "negated": lambda v: torch._neg_view(torch.ones(v.shape, dtype=dtype).cumsum(-1)),
    }

    def pulled(v, g):
        v = v.detach().requires_grad_()
        return torch.autograd.grad(function(v), v, g(v))[0]

    found = {(r, g): pulled(rows[r], gradients[g]) for r in rows for g in gradients}
    no_exchange()
    for (r, g), got in found.items():
        assert torch.equal(got, pulled(rows[r].clone(), lambda v, g=g: gradients[g](v).clone())), (r, g)


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


class Derived(torch.Tensor):
    pass


FORWARD = {
    **{
        name: getattr(sigmax, name)
        for name in ("softmax", "log_softmax", "logit_softmax", "logsumexp", "sigmoid", "softplus")
    },
    "with a temperature": lambda v: sigmax.softmax(v, temperature=2.0),
    "cross_entropy": lambda v: sigmax.cross_entropy(v, SOME),
    "its gradient": lambda v: sigmax.cross_entropy_and_grad(v, SOME)[1],
    "binary_cross_entropy": lambda v: sigmax.binary_cross_entropy(v, torch.full_like(v, 0.3)),
    "module": lambda v: sigmax.torch.CrossEntropyLoss()(v, SOME),
    "module, sum": lambda v: sigmax.torch.CrossEntropyLoss(reduction="sum")(v, SOME),
}
SOME = torch.tensor([0, 2, 1])


@pytest.mark.filterwarnings("ignore:.*get_attr Node")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", FORWARD)
def test_a_derivative_that_goes_forward_is_not_lost_whoever_watches(name):
    """A mode, a subclass, another device: there the dispatcher is asked, which knows of none."""
    function = FORWARD[name]
    generator = torch.Generator().manual_seed(4)
    x, v = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator)
    _, wanted = torch.func.jvp(function, (x,), (v,))
    _, linear = torch.func.linearize(function, x)
    torch.testing.assert_close(linear(v), wanted)
    with forward_ad.dual_level():
        for given in (x, x.as_subclass(Derived)):
            found = forward_ad.unpack_dual(function(forward_ad.make_dual(given, v))).tangent
            torch.testing.assert_close(found.as_subclass(torch.Tensor), wanted)
        with Watching():
            found = forward_ad.unpack_dual(function(forward_ad.make_dual(x, v))).tangent
        torch.testing.assert_close(found, wanted)
        if "cross" not in name and "module" not in name and "its" not in name:
            found = forward_ad.unpack_dual(function(forward_ad.make_dual(x.to("meta"), v.to("meta")))).tangent
            assert (found.shape, found.device.type) == (wanted.shape, "meta")
