"""fastconv.torch.patch(): which calls run here, whose, and that all the others are PyTorch's own."""

import asyncio
import contextvars
import copy
import io
import multiprocessing
import pickle
import threading

import pytest

import fastconv.torch as ours

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own, of its deprecated parts
NAMES = tuple(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3))
THEIRS = {name: getattr(functional, name) for name in NAMES}


@pytest.fixture(autouse=True)
def all_is_as_before():
    yield
    assert {name: getattr(functional, name) for name in NAMES} == THEIRS


@pytest.fixture
def runs(monkeypatch):
    """A list that grows with each call that runs here."""
    from fastconv.torch import calls

    seen = []
    monkeypatch.setattr(
        calls, "convolve_plain", lambda *args, run=calls.convolve_plain: seen.append(args) or run(*args)
    )
    return seen


@pytest.fixture
def x():
    return torch.randn(2, 3, 7, 6)


@pytest.fixture
def w():
    return torch.randn(4, 3, 3, 3)


def model():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1))


def test_modules_and_their_gradients(runs, x):
    net = model()
    expected = net(x)
    with ours.patch():
        y = net(x)
    assert len(runs) == 2
    torch.testing.assert_close(y, expected)
    made, wanted = (torch.autograd.grad(z.square().sum(), tuple(net.parameters())) for z in (y, expected))
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)


TRANSPOSED = {
    "conv_transpose1d": ((2, 4, 9), (4, 3, 3), {"stride": 2, "padding": 1, "groups": 2, "output_padding": 1}),
    "conv_transpose2d": ((3, 5, 4), (3, 4, 3, 2), {"stride": (2, 3), "dilation": 2}),
    "conv_transpose3d": ((1, 2, 3, 4, 3), (2, 3, 2, 2, 3), {"stride": (1, 2, 2)}),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_functions_and_their_gradients(runs, name):
    x_shape, w_shape, options = TRANSPOSED[name]
    filters = w_shape[1] * options.get("groups", 1)
    tensors = [torch.randn(shape).requires_grad_() for shape in (x_shape, w_shape, (filters,))]
    expected = getattr(torch, name)(*tensors, **options)
    with ours.patch():
        y = getattr(functional, name)(*tensors, **options)
        assert len(runs) == 1
        with pytest.raises(RuntimeError, match="output padding"):
            getattr(functional, name)(*tensors[:2], output_padding=3)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    made, wanted = (torch.autograd.grad(z.square().sum(), tensors) for z in (y, expected))
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-3)


def runs_here(runs, x, w):
    before = len(runs)
    functional.conv2d(x, w)
    return len(runs) > before


def test_a_patch_ends_with_an_error(runs, x, w):
    with pytest.raises(RuntimeError, match="inside"), ours.patch():
        raise RuntimeError("inside")
    assert not runs_here(runs, x, w)


def test_patches_nest(runs, x, w):
    with ours.patch():
        with ours.patch():
            assert runs_here(runs, x, w)
        assert runs_here(runs, x, w)
        with pytest.raises(KeyError), ours.patch():
            raise KeyError
        assert runs_here(runs, x, w)
    assert not runs_here(runs, x, w)


def test_patches_need_not_end_in_the_order_in_which_they_began(runs, x, w):
    first, second = ours.patch(), ours.patch()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert runs_here(runs, x, w)
    second.__exit__(None, None, None)
    assert not runs_here(runs, x, w)
    with ours.patch():
        assert runs_here(runs, x, w)


def test_a_patch_is_the_threads_own(runs, x, w):
    """Two threads whose blocks overlap, and one that has none: each sees its own, and afterwards nothing is left."""
    steps = [threading.Event() for _ in range(3)]
    seen = {}

    def second():
        assert steps[0].wait(60)
        seen["before its own"] = runs_here(runs, x, w)
        with ours.patch():
            steps[1].set()
            assert steps[2].wait(60)
            seen["inside"] = runs_here(runs, x, w)
        seen["after"] = runs_here(runs, x, w)

    thread = threading.Thread(target=second)
    thread.start()
    with ours.patch():
        steps[0].set()
        assert steps[1].wait(60)
    assert functional.conv2d is not THEIRS["conv2d"]
    assert not runs_here(runs, x, w)
    steps[2].set()
    thread.join(60)
    assert seen == {"before its own": False, "inside": True, "after": False}
    assert functional.conv2d is THEIRS["conv2d"]


def test_a_copied_context_has_the_patch_until_it_ends(runs, x, w):
    with ours.patch():
        context = contextvars.copy_context()
        seen = []
        thread = threading.Thread(target=lambda: seen.append(context.run(runs_here, runs, x, w)))
        thread.start()
        thread.join(60)
        assert seen == [True]
    with ours.patch():  # of somebody else, for that context
        assert context.run(runs_here, runs, x, w) is False


def test_tasks_have_their_own(runs, x, w):
    async def patched(inside, other):
        with ours.patch():
            inside.set()
            await other.wait()
            return runs_here(runs, x, w)

    async def plain(inside, other):
        await inside.wait()
        found = runs_here(runs, x, w)
        other.set()
        return found

    async def both():
        inside, other = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(patched(inside, other), plain(inside, other))

    assert asyncio.run(both()) == [True, False]


def test_many_threads_that_come_and_go(x, w):
    expected = functional.conv2d(x, w)
    wrong = []

    def work():
        for _ in range(50):
            with ours.patch():
                y = functional.conv2d(x, w)
            if not torch.allclose(y, expected, atol=1e-4):
                wrong.append(y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []


def test_somebody_elses_patch_on_top_is_left_alone(monkeypatch, runs, x, w):
    with ours.patch():
        below = functional.conv2d
        monkeypatch.setattr(functional, "conv2d", lambda *args, **options: below(*args, **options))
        on_top = functional.conv2d
    assert functional.conv2d is on_top
    assert not runs_here(runs, x, w)
    with ours.patch():
        assert functional.conv2d is on_top
        assert runs_here(runs, x, w)
        monkeypatch.undo()
    with ours.patch():
        assert functional.conv2d is below


def _in_a_worker(queue, inputs):
    queue.put(functional.conv2d is not THEIRS["conv2d"] and functional.conv2d(*inputs).numpy().tolist())


def test_a_process_forked_inside_has_the_patch(x, w):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with ours.patch():
        process = context.Process(target=_in_a_worker, args=(queue, (x[:1, :, :3, :3], w)))
        process.start()
        process.join(120)
    torch.testing.assert_close(torch.tensor(queue.get()), functional.conv2d(x[:1, :, :3, :3], w))


def test_the_functions_can_be_pickled_and_copied(x, w):
    with ours.patch():
        function = pickle.loads(pickle.dumps(functional.conv2d))
        assert copy.deepcopy(function) is functional.conv2d
    torch.testing.assert_close(function(x, w), functional.conv2d(x, w))


# --- What is not plain: the very results of PyTorch.


class Logged(torch.Tensor):
    """A subclass, as PyTorch makes them of a class without a method."""


CALLS = {
    "bfloat16": lambda f, x, w: f(x.bfloat16(), w.bfloat16()),
    "float16": lambda f, x, w: f(x.half(), w.half()),
    "complex64": lambda f, x, w: f(torch.complex(x, x), torch.complex(w, w)),
    "no images": lambda f, x, w: f(x[:0], w),
    "mkldnn": lambda f, x, w: f(x.to_mkldnn(), w).to_dense(),
    "a subclass": lambda f, x, w: f(x.as_subclass(Logged), w),
    "a padding of words": lambda f, x, w: f(x, w, padding="same", dilation=2),
    "keywords": lambda f, x, w: f(input=x, weight=w, bias=w[:, 0, 0, 0], stride=[2, 1], padding=(1,), groups=1),
    "an int64 tensor": lambda f, x, w: f(x.long(), w.long()),
    "a vmap": lambda f, x, w: torch.func.vmap(lambda v: f(v, w))(torch.stack([x, x])),
    "a functional call": lambda f, x, w: torch.func.grad(lambda v: f(x, v).sum())(w),
    "another device": lambda f, x, w: torch.empty(f(x.to("meta"), w.to("meta")).shape).fill_(0),
    "a zero tensor": lambda f, x, w: f(torch._efficientzerotensor(x.shape), w),
}


@pytest.mark.parametrize("call", CALLS)
def test_other_calls_are_pytorchs(call, x, w):
    expected = CALLS[call](torch.conv2d, x, w)
    with ours.patch():
        result = CALLS[call](functional.conv2d, x, w)
    assert type(result) is type(expected)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


REFUSED = {
    "several dtypes": lambda f, x, w: f(x, w.double()),
    "channels": lambda f, x, w: f(x[:, :2], w),
    "a kernel beyond the image": lambda f, x, w: f(x[..., :2], w),
    "padding that only we have": lambda f, x, w: f(x, w, padding="same_lower"),
    "same with a stride": lambda f, x, w: f(x, w, padding="same", stride=2),
    "a pair per side": lambda f, x, w: f(x, w, padding=((1, 2), (0, 1))),
    "no stride": lambda f, x, w: f(x, w, stride=0),
    "groups": lambda f, x, w: f(x, w, groups=2),
    "a bias too long": lambda f, x, w: f(x, w, x[0, 0, 0]),
    "no tensor": lambda f, x, w: f(x.numpy(), w),
    "a sparse tensor": lambda f, x, w: f(x.to_sparse(), w),
    "a quantised tensor": lambda f, x, w: f(torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), w),
    "a nested tensor": lambda f, x, w: f(torch.nested.nested_tensor([x[0], x[0, :, :5]]), w),
}


@pytest.mark.parametrize("call", REFUSED)
def test_errors_are_pytorchs(call, x, w):
    def error(f):
        with pytest.raises(Exception) as caught:  # whatever it is
            REFUSED[call](f, x, w)
        return type(caught.value), str(caught.value)[:40]  # then it lists the arguments, with defaults or without

    expected = error(torch.conv2d)
    with ours.patch():
        assert error(functional.conv2d) == expected


@pytest.mark.parametrize(
    "call", sorted(set(REFUSED) - {"padding that only we have", "same with a stride", "a pair per side"})
)
def test_our_own_function_names_the_argument(call, x, w):
    with pytest.raises((TypeError, ValueError), match=r"^(input|weight|bias|stride|groups|padding)(\[0\])?: expected "):
        REFUSED[call](ours.conv2d, x, w)


def test_without_memory_pytorch_may_try(monkeypatch, x, w):
    from fastconv.torch import kernels

    def fail(*args, **options):
        raise MemoryError

    monkeypatch.setattr(kernels, "_FORWARD", (fail,) * 3)
    with pytest.raises(MemoryError):
        ours.conv2d(x, w)
    with ours.patch():
        torch.testing.assert_close(functional.conv2d(x, w), torch.conv2d(x, w))


# --- What reads or records the code.


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(runs, dtype, x, w):
    with torch.autocast("cpu", dtype):
        expected = torch.conv2d(x, w)
        own = ours.conv2d(x, w)
        of_both = ours.conv2d(x.to(dtype), w, w[:, 0, 0, 0])
        double = ours.conv2d(x.double(), w.double())
        before = len(runs)
        with ours.patch():
            patched = functional.conv2d(x, w)
        assert len(runs) == before
    assert (expected.dtype, own.dtype, patched.dtype, of_both.dtype) == (dtype,) * 4
    assert double.dtype == torch.float64
    torch.testing.assert_close(patched, expected)
    torch.testing.assert_close(own, expected, rtol=2e-2, atol=2e-2)


def test_half_precision_is_rounded_once(x, w):
    y = ours.conv2d(x.bfloat16(), w.bfloat16())
    torch.testing.assert_close(y, torch.conv2d(x.bfloat16().double(), w.bfloat16().double()).bfloat16())


def test_script(x):
    net = model()
    expected = net(x)
    with ours.patch():
        scripted = torch.jit.script(net)
        torch.testing.assert_close(scripted(x), expected)
    kept = io.BytesIO()
    torch.jit.save(scripted, kept)
    assert "aten::conv2d" in str(scripted.inlined_graph)
    torch.testing.assert_close(scripted(x), expected)


def test_trace_records_pytorchs_operator(x):
    net = model()
    with ours.patch():
        traced = torch.jit.trace(net, x)
    assert "aten::_convolution" in str(traced.inlined_graph)
    bigger = torch.randn(1, 3, 9, 12)
    torch.testing.assert_close(traced(bigger), net(bigger))


@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx_export(dynamo, x):
    onnx = pytest.importorskip("onnx")
    if dynamo:
        pytest.importorskip("onnxscript")
    net = model().eval()
    kept = io.BytesIO()
    with ours.patch():
        torch.onnx.export(net, (x,), kept, dynamo=dynamo)
    nodes = [node.op_type for node in onnx.load_from_string(kept.getvalue()).graph.node]
    assert nodes == ["Conv", "Relu", "Conv"]


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict, x):
    net = model()
    with ours.patch():
        program = torch.export.export(net, (x,), strict=strict)
    assert "aten.conv2d" in str(program.graph)
    torch.testing.assert_close(program.module()(x), net(x))


def test_export_of_our_own_function(x, w):
    class Net(torch.nn.Module):
        def forward(self, x):
            return ours.conv2d(x, w, padding=1)

    auto = torch.export.Dim.AUTO
    program = torch.export.export(Net(), (x,), dynamic_shapes={"x": {0: auto, 2: auto, 3: auto}})
    assert "fastconv.convolution" in str(program.graph)
    more = torch.randn(5, 3, 9, 11)
    torch.testing.assert_close(program.module()(more), torch.conv2d(more, w, padding=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile_without_a_break(backend, x):
    """Inductor, which needs half a minute and a compiler of C++, was tried by hand."""
    net = model()
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    expected = torch.autograd.grad(net(x).pow(2).sum(), net[0].weight)
    with ours.patch():
        y = compiled(x)
        made = torch.autograd.grad(y.pow(2).sum(), net[0].weight)
    torch.testing.assert_close(y, net(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-4)  # the patch is over


@pytest.mark.parametrize("padding", [1, "same"])
def test_compile_for_any_number_and_size_of_images(padding, x, w):
    compiled = torch.compile(
        lambda x: ours.conv2d(x, w, padding=padding) * 2, fullgraph=True, backend="aot_eager", dynamic=True
    )
    for given in (x, torch.randn(3, 3, 9, 12), torch.randn(4, 3, 8, 5)):
        torch.testing.assert_close(compiled(given), torch.conv2d(given, w, padding=1) * 2, rtol=1e-4, atol=1e-4)


def test_symbolic_trace(x, w):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(w)

        def forward(self, x):
            return functional.conv2d(x, self.weight) + ours.conv2d(x, self.weight)

    net = Net()
    with ours.patch():
        traced = torch.fx.symbolic_trace(net)
    targets = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert targets[:2] == [torch.conv2d, ours.conv2d]
    torch.testing.assert_close(traced(x), net(x))


def test_a_checkpoint_made_inside_is_made_again_outside(x):
    net = model()
    x.requires_grad_()
    with ours.patch():
        y = torch.utils.checkpoint.checkpoint(net, x, use_reentrant=False)
    made = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(made, torch.autograd.grad(net(x).sum(), x), rtol=1e-4, atol=1e-4)


def test_lazy_modules(runs, x):
    net = torch.nn.LazyConv2d(4, 3)
    with ours.patch():
        y = net(x)
    assert len(runs) == 1
    torch.testing.assert_close(y, net(x))


@pytest.mark.parametrize("of_weight", [False, True])
@pytest.mark.parametrize("of_input", [False, True])
@pytest.mark.parametrize("name", ["conv2d", "conv3d"])
def test_memory_formats_are_pytorchs(runs, name, of_input, of_weight):
    axes = int(name[4])
    last = torch.channels_last if axes == 2 else torch.channels_last_3d
    for C, K, taps in ((3, 4, 3), (3, 4, 1), (1, 2, 3)):
        x, w = torch.randn(2, C, *[5] * axes), torch.randn(K, C, *[taps] * axes)
        x = x.to(memory_format=last) if of_input else x
        w = w.to(memory_format=last) if of_weight else w
        before = len(runs)
        with ours.patch():
            y = getattr(functional, name)(x, w)
        expected = getattr(torch, name)(x, w)
        assert len(runs) == before + 1
        assert y.stride() == expected.stride()
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)


def test_outputs_can_be_changed_in_place(x, w):
    with ours.patch():
        for given in (x, x.to(memory_format=torch.channels_last), x[0]):
            v = w.clone().requires_grad_()
            y = functional.relu_(functional.conv2d(given, v))
            (made,) = torch.autograd.grad(y.sum(), v)
            (expected,) = torch.autograd.grad(torch.relu(torch.conv2d(given, v)).sum(), v)
            torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)
