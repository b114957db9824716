"""Weights that fastconv.torch prepares because they come again: results are those of their values at each call."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import fastconv
import fastconv.torch as ours
from fastconv import _core

torch = pytest.importorskip("torch")
functional = torch.nn.functional


@pytest.fixture(autouse=True)
def patched():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad(), ours.patch():
        yield
    torch.set_num_threads(before)


@pytest.fixture
def prepared():
    from fastconv.torch import prepared

    return prepared


@pytest.fixture
def made(monkeypatch, prepared):
    """A list that grows with each operator that is made, and one with each call of a plan."""
    operators, calls = [], []

    from fastconv.torch import kinds

    make = kinds.Kind.prepared

    def noted(kind, *args):
        plain = make(kind, *args)

        class Noted(type(plain)):
            def __call__(self, *args, **options):
                calls.append(self)
                return super().__call__(*args, **options)

            def _run_at(self, *args):
                done = super()._run_at(*args)
                calls.extend([self] * done)
                return done

        operators.append(make(kind._replace(operator=Noted), *args))
        return operators[-1]

    monkeypatch.setattr(kinds.Kind, "prepared", noted)
    return operators, calls


LAYERS = {
    "one axis": (torch.nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9)),
    "two axes": (torch.nn.Conv2d(3, 4, (3, 2), dilation=(1, 2), padding="same"), (2, 3, 7, 6)),
    "depthwise": (torch.nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), (1, 4, 6, 6)),
    "float64": (torch.nn.Conv2d(3, 4, 3, padding=1, dtype=torch.float64), (1, 3, 6, 6)),
    "three axes": (torch.nn.Conv3d(2, 3, 2, stride=(1, 2, 1), padding=1), (1, 2, 4, 5, 4)),
    "transposed, one axis": (torch.nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9)),
    "transposed": (torch.nn.ConvTranspose2d(3, 4, (3, 2), stride=2, output_padding=(1, 0)), (2, 3, 7, 6)),
    "transposed, three axes": (torch.nn.ConvTranspose3d(2, 3, 2, stride=(1, 2, 1), bias=False), (1, 2, 4, 5, 4)),
    "no images axis": (torch.nn.Conv2d(3, 4, 3), (3, 6, 5)),
}


def theirs(layer, x):
    """What PyTorch makes of it: in another thread, which has no patch."""
    results = []

    def call():
        with torch.no_grad():
            results.append(layer(x))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return results[0]


def assert_right(layer, x, times=3):
    expected = theirs(layer, x)
    for _ in range(times):
        y = layer(x)
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
        if y.ndim < 5:  # of volumes PyTorch keeps channels last only with some of its own kernels
            assert y.stride() == expected.stride()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("case", LAYERS)
def test_a_weight_that_comes_again_is_prepared_once(case, last, made):
    layer, shape = copy.deepcopy(LAYERS[case][0]), LAYERS[case][1]
    x = torch.randn(shape, dtype=layer.weight.dtype)
    if last and len(shape) > 3:
        x = x.to(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    operators, calls = made
    assert_right(layer, x, times=5)
    assert (len(operators), len(calls)) == (1, 5)
    for _ in range(2):
        assert_right(layer, torch.cat([x, x]) if case != "no images axis" else x[:, 1:])
        assert_right(layer, torch.stack([x, x], -1)[..., 0])
    assert len(operators) == 1 + (not x.is_contiguous())  # the copies have channels first


def written_through_numpy(layer):
    layer.weight.detach().numpy()[-1, -1, -1, -1] += 1


def trained(layer):
    with torch.enable_grad():
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
        layer(torch.randn(1, 3, 6, 6)).square().sum().backward()
        optimizer.step()


def with_storage_of_another(layer):
    other = torch.randn_like(layer.weight)
    layer.weight.data.set_(other.untyped_storage(), 0, other.shape, other.stride())


WRITES = {
    "in place": lambda layer: layer.weight.mul_(2),
    "data in place": lambda layer: layer.weight.data.mul_(2),
    "one number of data": lambda layer: layer.weight.data[0, 0, 0].fill_(7),
    "signs": lambda layer: layer.weight.data.neg_(),
    "two filters change places": lambda layer: layer.weight.data.copy_(layer.weight.data[[1, 0, 2, 3]].clone()),
    "other data": lambda layer: setattr(layer.weight, "data", torch.randn_like(layer.weight)),
    "other strides": lambda layer: setattr(layer.weight, "data", layer.weight.data.transpose(2, 3)),
    "channels last": lambda layer: setattr(layer.weight, "data", layer.weight.to(memory_format=torch.channels_last)),
    "values that lie on one another": lambda layer: setattr(
        layer.weight, "data", torch.randn(1, 3, 1, 1).expand_as(layer.weight)
    ),
    "another storage": with_storage_of_another,
    "a NumPy view": written_through_numpy,
    "a state": lambda layer: layer.load_state_dict({n: p + 1 for n, p in layer.state_dict().items()}),
    "a step of training": trained,
    "the bias": lambda layer: layer.bias.data.add_(1),
    "another bias": lambda layer: setattr(layer, "bias", torch.nn.Parameter(torch.randn(4))),
    "a bias that lies on itself": lambda layer: setattr(layer.bias, "data", torch.randn(1).expand(4)),
    "no bias": lambda layer: setattr(layer, "bias", None),
    "another weight": lambda layer: setattr(layer, "weight", torch.nn.Parameter(torch.randn(4, 3, 3, 3))),
    "another geometry": lambda layer: (setattr(layer, "padding", (2, 0)), setattr(layer, "stride", (2, 1))),
    "other numbers": lambda layer: layer.double(),
    "other taps": lambda layer: setattr(layer.weight, "data", torch.randn(4, 3, 2, 1)),
    "shared memory": lambda layer: layer.share_memory(),
}


@pytest.mark.parametrize("write", WRITES)
def test_every_change_is_seen(write, made):
    layer = torch.nn.Conv2d(3, 4, 3, padding=1)
    x = torch.randn(2, 3, 7, 6)
    assert_right(layer, x)
    assert len(made[1]) == 3
    WRITES[write](layer)
    assert_right(layer, x.to(layer.weight.dtype))
    WRITES[write](layer)
    assert_right(layer, x.to(layer.weight.dtype))


def test_values_that_change_with_every_call_are_not_prepared(made):
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.randn(1, 3, 6, 6)
    for _ in range(5):
        assert_right(layer, x, times=1)
        layer.weight.data.mul_(0.99)
    assert len(made[1]) == 1
    assert_right(layer, x, times=2)
    assert len(made[1]) == 2
    layer.weight.data.mul_(2)
    assert_right(layer, x, times=1)
    assert len(made[1]) == 3


def test_deterministic_results_are_the_same_bits_from_the_first_call_on(made):
    x, w = torch.randn(1, 64, 20, 20), torch.randn(64, 64, 3, 3)
    torch.use_deterministic_algorithms(True)
    try:
        results = [functional.conv2d(x, w) for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert len(made[1]) == 3
    assert all(torch.equal(y, results[0]) for y in results)


def test_a_fingerprint_depends_on_every_bit():
    for size in (1, 7, 8, 63, 64, 65, 200):
        data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
        seen = {_core.fingerprint(data.ctypes.data, size)}
        for bit in range(8 * size):
            data[bit // 8] ^= 1 << bit % 8
            seen.add(_core.fingerprint(data.ctypes.data, size))
            data[bit // 8] ^= 1 << bit % 8
        assert len(seen) == 8 * size + 1
    zeros = np.zeros(200, np.uint8)
    assert len({_core.fingerprint(zeros.ctypes.data, size) for size in range(201)}) == 201


def test_a_fingerprint_depends_on_the_order_of_words():
    values = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    orders = [values, values[::-1], np.roll(values, 16), np.roll(values, 32), np.roll(values, 1), -values]
    odd = values.copy()
    odd[1::2] *= -1
    arrays = [np.ascontiguousarray(order) for order in (*orders, odd)]
    assert len({_core.fingerprint(array.ctypes.data, array.nbytes) for array in arrays}) == len(arrays)


def test_what_was_prepared_goes_with_the_weight(prepared):
    layer = torch.nn.Conv2d(3, 4, 3)
    x = torch.randn(1, 3, 6, 6)
    assert_right(layer, x)
    key = id(layer.weight)
    (kept,) = prepared._weights[key].layers
    (operator,) = kept.values.operators.values()
    gone = weakref.ref(operator)
    del kept, operator, layer
    gc.collect()
    assert key not in prepared._weights
    assert gone() is None


def test_weights_made_for_one_call_are_not_prepared(made, prepared):
    base, x = torch.randn(4, 3, 3, 3), torch.randn(1, 3, 6, 6)
    before = len(prepared._weights)
    for i in range(5):
        y = functional.conv2d(x, base * i)
        torch.testing.assert_close(y, theirs(lambda x, i=i: functional.conv2d(x, base * i), x), rtol=1e-4, atol=1e-4)
    assert made == ([], [])
    assert len(prepared._weights) == before


def test_arguments_made_for_each_call_are_recognised(made):
    w, x = torch.randn(4, 3, 3, 3), torch.randn(1, 3, 600, 6)
    for wide in (300, 300, 300, 301, 301):
        y = functional.conv2d(x, w, padding=(int(str(wide)), 1), stride=[2, 1] if wide == 301 else (2, 1))
        expected = theirs(lambda x, wide=wide: functional.conv2d(x, w, padding=(wide, 1), stride=(2, 1)), x)
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    assert (len(made[0]), len(made[1])) == (1, 2)  # a list may change: such a call is not kept


def test_all_that_is_kept_is_bounded_by_bytes(monkeypatch, made, prepared):
    layers = [torch.nn.Conv2d(16, 16, 3) for _ in range(6)]
    x = torch.randn(1, 16, 8, 8)
    assert_right(layers[0], x)
    (first,) = prepared._weights[id(layers[0].weight)].layers
    one = first.values.bytes()
    assert one > 2 * layers[0].weight.nbytes
    monkeypatch.setattr(prepared, "MOST_BYTES", 7 * one // 2)
    for layer in layers[1:]:
        assert_right(layer, x)
    kept = [known.values.bytes() for weight in prepared._weights.values() for known in weight.layers]
    assert sum(kept) == 3 * one
    assert first.values.bytes() == 0
    assert_right(layers[0], x)
    assert first.values.bytes() == one


def test_many_shapes_of_input(prepared, monkeypatch):
    monkeypatch.setattr(prepared, "_CASES_KEPT", 3)
    layer = torch.nn.Conv2d(3, 4, 3, padding=1)
    for size in (4, 5, 6, 7, 8, 4, 5):
        assert_right(layer, torch.randn(1, 3, size, 9), times=2)


def test_gradients_are_not_lost(made):
    layer = torch.nn.Conv2d(3, 4, 3)
    x = torch.randn(1, 3, 6, 6)
    assert_right(layer, x)
    before = len(made[1])
    with torch.enable_grad():
        y = layer(x)
        (made_by_us,) = torch.autograd.grad(y.sum(), layer.weight)
        assert len(made[1]) == before
        frozen = layer.weight.detach()
        for _ in range(3):
            assert not functional.conv2d(x, frozen).requires_grad
        v = x.clone().requires_grad_()
        assert functional.conv2d(v, frozen).requires_grad
    assert len(made[1]) == before + 2
    assert made_by_us.shape == layer.weight.shape


def test_inference_mode(made):
    with torch.inference_mode():
        w, x = torch.randn(4, 3, 3, 3), torch.randn(1, 3, 6, 6)
        for factor in (1, 1, 1, 3, 1):
            w.mul_(factor)
            y = functional.conv2d(x, w)
            assert y.is_inference()
            torch.testing.assert_close(y, torch.conv2d(x, w), rtol=1e-4, atol=1e-4)
    assert len(made[1]) == 4


def test_tensors_keep_what_they_can():
    """Their memory is not held, and can grow or be given back, as after PyTorch's own call."""
    from fastconv.torch.state import are_plain

    layer = torch.nn.Conv2d(3, 4, 3, bias=False)
    x = torch.randn(1, 3, 6, 6)
    for _ in range(3):
        y = layer(x)
    x.resize_(1, 3, 40, 40)
    y.resize_(1, 4, 40, 40)
    kept, storage = layer.weight.clone(), layer.weight.data.untyped_storage()
    storage.resize_(0)
    assert not are_plain(layer.weight)
    storage.resize_(kept.numel() * 4)
    layer.weight.copy_(kept)
    assert_right(layer, torch.randn(1, 3, 6, 6))


def test_our_own_function_prepares_too(made):
    w, x = torch.randn(4, 3, 3, 3), torch.randn(1, 3, 6, 6)
    for _ in range(3):
        torch.testing.assert_close(ours.conv2d(x, w), torch.conv2d(x, w), rtol=1e-4, atol=1e-4)
    assert (len(made[0]), len(made[1])) == (1, 2)
    for _ in range(3):
        y = ours.conv2d(x, w, padding="same_lower", stride=2)
        expected = fastconv.conv2d(x.numpy(), w.numpy(), padding="same_lower", stride=2)
        torch.testing.assert_close(y, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


def test_threads_share_a_weight_that_changes():
    """Each result is that of one of the two values that the weight has had, whole."""
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.randn(1, 3, 6, 6)
    layer.bias.zero_()
    ones = theirs(layer, x)
    wrong, end = [], threading.Event()

    def call():
        with torch.no_grad(), ours.patch():
            while not end.is_set():
                y = layer(x)
                if not any(torch.allclose(y, ones * factor, atol=1e-4) for factor in (1, 4)):
                    wrong.append(y)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        kept = layer.weight.clone()
        for i in range(200):
            layer.weight.data = kept * (4 if i % 2 else 1)
    finally:
        end.set()
        for thread in threads:
            thread.join(60)
    assert wrong == []
