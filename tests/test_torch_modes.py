"""fastconv.torch in every mode that PyTorch has: by its own functions, and by PyTorch's inside a patch.

The expected values are PyTorch's, in float64.
"""

import pytest

import fastconv.torch as ours

torch = pytest.importorskip("torch")
functional = torch.nn.functional
forward_ad = torch.autograd.forward_ad
pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own, of its deprecated parts


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch's threads wait for one another longer than these layers take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


LAYERS = {
    "one axis": ("conv1d", (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "two axes": ("conv2d", (2, 3, 6, 5), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}),
    "depthwise": ("conv2d", (2, 4, 6, 6), (8, 1, 3, 3), {"padding": "same", "groups": 4}),
    "three axes": ("conv3d", (1, 2, 4, 5, 4), (3, 2, 2, 3, 2), {"padding": 1}),
    "transposed": (
        "conv_transpose2d",
        (2, 4, 5, 4),
        (4, 3, 3, 2),
        {"stride": (2, 3), "padding": 1, "output_padding": 1},
    ),
    "transposed, grouped": ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "groups": 2, "dilation": 2}),
    "transposed, three axes": ("conv_transpose3d", (2, 3, 2, 4), (2, 3, 2, 1, 2), {"stride": (1, 2, 2)}),
    "no images axis": ("conv2d", (3, 6, 5), (4, 3, 3, 3), {"padding": 1}),
}


@pytest.fixture
def layer(request):
    return LAYERS[request.param]


@pytest.fixture
def convolution(request, layer):
    """From three tensors to the layer's output, by one of our two ways."""
    name, _, _, options = layer
    if request.param == "own":
        yield lambda *tensors: getattr(ours, name)(*tensors, **options)
    else:
        with ours.patch():
            yield lambda *tensors: getattr(functional, name)(*tensors, **options)


@pytest.fixture
def expected(layer):
    name, _, _, options = layer
    theirs = getattr(torch, name)
    return lambda *tensors: theirs(*tensors, **options)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def tensors(layer):
    name, x, w, options = layer
    filters = w[1] * options.get("groups", 1) if "transpose" in name else w[0]
    return random(*x, seed=1), random(*w, seed=2), random(filters, seed=3)


def tangents(tensors):
    return tuple(random(*tensor.shape, seed=5 + i) for i, tensor in enumerate(tensors))


def by_jvp(f, tensors):
    return torch.func.jvp(f, tensors, tangents(tensors))


def by_jvp_of_one(f, tensors):
    x, w, b = tensors
    of_x = torch.func.jvp(lambda x: f(x, w, b), (x,), (torch.ones_like(x),))
    return *of_x, *torch.func.jvp(lambda b: f(x, w, b), (b,), (torch.ones_like(b),))


def by_dual_tensors(f, tensors):
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(*pair) for pair in zip(tensors, tangents(tensors), strict=True)]
        return forward_ad.unpack_dual(f(*duals))


def by_jacfwd(f, tensors):
    return torch.func.jacfwd(lambda w: f(tensors[0], w, tensors[2]))(tensors[1])


def by_jacrev(f, tensors):
    return torch.func.jacrev(f, argnums=(0, 1, 2))(*tensors)


def by_grad(f, tensors):
    return torch.func.grad(lambda *t: f(*t).pow(3).sum(), argnums=(0, 1, 2))(*tensors)


def by_vjp(f, tensors):
    y, pull = torch.func.vjp(f, *tensors)
    return y, *pull(torch.cos(y))


def by_hessian(f, tensors):
    small = tensors[1][:1] * 0 + 1
    return torch.func.hessian(lambda s: f(tensors[0], tensors[1] * s, tensors[2]).pow(3).sum())(small)


def by_reverse_over_forward(f, tensors):
    def along(w):
        return torch.func.jvp(lambda x: f(x, w, tensors[2]), tensors[:1], tangents(tensors[:1]))[1].pow(2).sum()

    return torch.func.grad(along)(tensors[1])


def by_vmap(f, tensors):
    """Every combination of tensors with and without instances."""
    made = []
    for which in range(1, 8):
        dims = [min(1, t.ndim - 1) if which >> i & 1 else None for i, t in enumerate(tensors)]
        given = [
            t if dim is None else torch.stack([t, t.cos(), t * 2], dim) for t, dim in zip(tensors, dims, strict=True)
        ]
        made.append(torch.func.vmap(f, in_dims=tuple(dims))(*given))
    return made


def by_vmap_of_a_gradient(f, tensors):
    made = []
    for dims in ((0, None, None), (None, 0, None), (0, 0, 0)):
        given = [t if dim is None else torch.stack([t, t.cos()]) for t, dim in zip(tensors, dims, strict=True)]
        gradient = torch.func.grad(lambda *t: f(*t).pow(2).sum(), argnums=(0, 1, 2))
        made.append(torch.func.vmap(gradient, in_dims=tuple(dims))(*given))
    return made


def by_gradient_of_a_vmap(f, tensors):
    many = torch.stack([tensors[0], tensors[0].sin()])
    return torch.func.grad(lambda w: torch.func.vmap(lambda x: f(x, w, None))(many).pow(2).sum())(tensors[1])


def by_backward(f, tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = f(*leaves)
    first = torch.autograd.grad(y.pow(3).sum(), leaves, create_graph=True)
    return y, first, torch.autograd.grad(sum(g.pow(2).sum() for g in first), leaves)


def by_batched_gradients(f, tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = f(*leaves)
    return torch.autograd.grad(y, leaves, torch.stack([y.sin(), y.cos()]), is_grads_batched=True)


def by_checkpoint(f, tensors):
    made = []
    for reentrant in (False, True):
        leaves = [t.clone().requires_grad_() for t in tensors]
        y = torch.utils.checkpoint.checkpoint(f, *leaves, use_reentrant=reentrant)
        made += [y, torch.autograd.grad(y.pow(2).sum(), leaves) if not reentrant else None]
        if reentrant:
            y.pow(2).sum().backward()
            made[-1] = [leaf.grad for leaf in leaves]
    return made


def by_inference_mode(f, tensors):
    with torch.inference_mode():
        made = torch.stack([f(*tensors), f(*(t.clone() for t in tensors))])
    return made.clone()


def by_no_grad(f, tensors):
    with torch.no_grad():
        y = f(*(t.clone().requires_grad_() for t in tensors))
    assert not y.requires_grad
    return y


def by_a_function_mode(f, tensors):
    with torch.device("cpu"):
        return f(*tensors)


def by_a_dispatch_mode(f, tensors):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False):
        return f(*tensors)


def by_saved_tensors_hooks(f, tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().copy(), torch.from_numpy):
        y = f(*leaves)
    return torch.autograd.grad(y.pow(2).sum(), leaves)


def by_trace(f, tensors):
    traced = torch.jit.trace(f, tensors)
    leaves = [t.clone().requires_grad_() for t in tensors]
    y = traced(*leaves)
    return y, torch.autograd.grad(y.pow(2).sum(), leaves)


def by_make_fx(f, tensors):
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(f)(*tensors)(*tensors)


def by_functionalize(f, tensors):
    return torch.func.functionalize(f)(*tensors)


def by_fake_tensors(f, tensors):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        y = f(*map(mode.from_tensor, tensors))
    return torch.empty(y.shape).fill_(y.stride(0))


def by_meta(f, tensors):
    y = f(*(t.to("meta") for t in tensors))
    assert y.device.type == "meta"
    return torch.empty(y.shape).fill_(y.stride(0))


def by_deterministic(f, tensors):
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        return by_backward(f, tensors)
    finally:
        torch.use_deterministic_algorithms(before)


def by_negated_views(f, tensors):
    return f(*(torch.complex(t * 0, t).conj().imag for t in tensors))


def by_strided_views(f, tensors):
    apart = [torch.stack([t, t * 0], -1)[..., 0] for t in tensors]
    return f(*apart), f(*(t[..., :1].expand_as(t) for t in tensors))


MODES = {name.removeprefix("by_").replace("_", " "): f for name, f in list(globals().items()) if name.startswith("by_")}


def flat(values):
    return [values] if isinstance(values, torch.Tensor) else [part for value in values for part in flat(value)]


# Modes in which what is done depends on the layer; for the others one layer is enough.
OF_ANY_LAYER = {"jvp", "jacrev", "vmap", "vmap of a gradient", "backward", "trace", "no grad"}


CASES = [
    (way, mode, layer)
    for way in ("own", "patched")
    for mode in MODES
    for layer in LAYERS
    if (layer == "two axes" or mode in OF_ANY_LAYER) and (way == "patched" or "transposed" not in layer)
]


@pytest.mark.parametrize(("convolution", "mode", "layer"), CASES, indirect=["convolution", "layer"])
def test_mode(convolution, mode, expected, tensors):
    results, wanted = flat(MODES[mode](convolution, tensors)), flat(MODES[mode](expected, tensors))
    assert len(results) == len(wanted) > 0
    for result, value in zip(results, wanted, strict=True):
        assert result.shape == value.shape
        torch.testing.assert_close(result, value)
