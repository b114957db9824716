"""fastconv.torch: PyTorch's own checks of operators and gradients, and compiled graphs."""

import threading

import pytest

import fastconv.torch as ours

torch = pytest.importorskip("torch")
functional = torch.nn.functional


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch's threads wait for one another longer than these layers take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CASES = {
    "one axis": ("conv1d", (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "two axes": ("conv2d", (2, 3, 6, 5), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}),
    "same": ("conv2d", (1, 2, 5, 6), (3, 2, 2, 3), {"padding": "same"}),
    "depthwise": ("conv2d", (2, 4, 6, 6), (4, 1, 3, 3), {"padding": 1, "groups": 4}),
    "three axes": ("conv3d", (1, 2, 4, 5, 4), (3, 2, 2, 3, 2), {"padding": 1}),
    "no images axis": ("conv2d", (3, 6, 5), (4, 3, 3, 3), {"padding": 1}),
}


def tensors(case, dtype=None):
    _, x, w, _ = CASES[case]
    generator = torch.Generator().manual_seed(0)
    made = (torch.randn(shape, generator=generator, dtype=dtype or torch.float64) for shape in (x, w, (w[0],)))
    return [tensor.requires_grad_() for tensor in made]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_gradients(case, with_bias):
    name, _, _, options = CASES[case]
    x, w, b = tensors(case)
    inputs = (x, w, b) if with_bias else (x, w)
    assert torch.autograd.gradcheck(lambda *t: getattr(ours, name)(*t, **options), inputs)
    assert torch.allclose(getattr(ours, name)(*inputs, **options), getattr(functional, name)(*inputs, **options))


def test_only_what_is_needed_is_differentiated():
    x, w, b = tensors("two axes")
    y = ours.conv2d(x, w.detach(), b)
    y.sum().backward()
    assert x.grad is not None and b.grad is not None
    assert torch.allclose(b.grad, torch.full_like(b, y.numel() / b.numel()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["one axis", "two axes", "depthwise", "three axes"])
def test_pytorchs_check_of_operators(case):
    _, x_shape, _, options = CASES[case]
    x, w, b = tensors(case)

    def per_axis(name, default):
        value = options.get(name, default)
        return list(value) if isinstance(value, tuple) else [value] * (len(x_shape) - 2)

    pads = [pad for pad in per_axis("padding", 0) for _ in range(2)]
    arguments = x, w, b, per_axis("stride", 1), pads, per_axis("dilation", 1), options.get("groups", 1)
    torch.library.opcheck(torch.ops.fastconv.convolution.default, arguments)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_graph_does_not_break():
    x, w, b = tensors("two axes", torch.float32)

    def function(x, w, b):
        return torch.relu(ours.conv2d(x * 2, w, b, padding=1)).sum()

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    expected = torch.autograd.grad(function(x, w, b), (x, w, b))
    for result, wanted in zip(torch.autograd.grad(compiled(x, w, b), (x, w, b)), expected, strict=True):
        assert torch.allclose(result, wanted, atol=1e-5)


def test_several_threads():
    x, w, _ = tensors("two axes")
    expected = ours.conv2d(x, w)
    results = []
    threads = [threading.Thread(target=lambda: results.append(ours.conv2d(x, w))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(torch.equal(result, expected) for result in results)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_second_derivatives(case, with_bias):
    name, _, _, options = CASES[case]
    inputs = tensors(case)[: 3 if with_bias else 2]
    assert torch.autograd.gradgradcheck(lambda *t: getattr(ours, name)(*t, **options), inputs)
    assert torch.autograd.gradgradcheck(lambda x: getattr(ours, name)(x, *inputs[1:], **options), inputs[:1])


@pytest.mark.filterwarnings("ignore")
def test_a_third_derivative():
    x, w, _ = tensors("two axes")
    made = [(function(x, w) ** 4).sum() for function in (ours.conv2d, functional.conv2d)]
    for _ in range(3):
        made = [torch.autograd.grad(y, w, create_graph=True)[0].pow(2).sum() for y in made]
        torch.testing.assert_close(*made)
