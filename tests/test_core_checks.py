"""What the core checks by itself, for memory safety alone: arrays that are not what a plan needs are refused, whoever
passes them. Messages in the user's own words come from the Python layer.
"""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import _core

rng = np.random.default_rng(3)


def normal(*shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype)


def strided(array):
    """The same values, every other one in memory."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def misaligned(array):
    memory = np.empty(array.nbytes + 1, np.uint8)[1:]
    other = np.frombuffer(memory, array.dtype).reshape(array.shape)
    other[...] = array
    return other


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def overlapping(array, other):
    """One of the shape of `array`, whose memory begins a value before that of `other` ends, and that `other`."""
    memory = np.zeros(array.size + other.size - 1, array.dtype)
    return memory[: other.size].reshape(other.shape), memory[other.size - 1 :].reshape(array.shape)


PROBLEM = _core.Problem("float32", 2, 4, 6, 5, 6, 3, 2, 1, 2, 1, 0, 0, 1, 1, 1, 2)
X, W, B = normal(2, 4, 6, 5), normal(6, 2, 3, 2), normal(6)
Y = normal(2, 6, 5, 3)


def plan():
    return _core.Plan(PROBLEM, "im2col", W, B)


def run_once(x=X, w=W, b=B, out=None, residual=None):
    return _core.run_once(PROBLEM, "im2col", None, x, w, b, out, residual)


def spoilt(array):
    """Each with a word of what is said of it."""
    return [
        (strided(array), "C-contiguous"),
        (misaligned(array), "C-contiguous"),
        (array.astype("float64"), "dtype"),
        (array.astype("float32").byteswap().view(array.dtype.newbyteorder()), "dtype"),
        (array[..., :-1].copy(), "shape"),
        (np.concatenate([array, array]), "shape"),
    ]


def reshaped(array):
    """As many values, but not the axes."""
    return array.reshape(-1, array.shape[-1]) if array.ndim > 2 else array.reshape(1, -1)


def test_what_is_right_is_taken():
    y = run_once()
    assert np.array_equal(plan()(X), y)
    out = np.empty_like(y)
    assert plan()(X, out) is out
    assert np.array_equal(out, y)
    np.testing.assert_allclose(plan()(X, None, Y), y + Y, rtol=1e-5, atol=1e-5)
    out[...] = Y
    np.testing.assert_allclose(plan()(X, out, out), y + Y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["x", "weight", "bias", "out", "residual"])
def test_arrays_of_another_kind_are_refused(name):
    array = {"x": X, "weight": W, "bias": B, "out": Y, "residual": Y}[name]
    short = {"weight": "w", "bias": "b"}.get(name, name)
    for wrong, word in spoilt(array):
        with pytest.raises((ValueError, TypeError), match=f"{name}: .*{word}"):
            run_once(**{short: wrong})
        if name in ("weight", "bias"):
            with pytest.raises((ValueError, TypeError), match=f"{name}: .*{word}"):
                _core.Plan(PROBLEM, "im2col", **{"weight": W, "bias": B, name: wrong})
        else:
            with pytest.raises((ValueError, TypeError), match=f"{name}: .*{word}"):
                plan()(**{"x": X, name: wrong})
    if name != "x" and name != "weight":
        with pytest.raises(TypeError, match=f"{name}: expected an array"):
            run_once(**{short: [1.0]})


def test_an_output_is_writable_and_has_memory_of_its_own():
    with pytest.raises(ValueError, match="out: got a read-only array"):
        run_once(out=read_only(Y))
    for name, array in (("x", X), ("weight", W), ("bias", B)):
        for first, second in (overlapping(Y, array), overlapping(array, Y)[::-1]):
            operand, out = (first, second) if first.shape == array.shape else (second, first)
            with pytest.raises(ValueError, match=f"out: got memory that overlaps {name}"):
                run_once(**{{"weight": "w", "bias": "b"}.get(name, name): operand}, out=out)
    other, out = overlapping(Y, Y)
    with pytest.raises(ValueError, match="out: got memory that overlaps residual"):
        run_once(out=out, residual=other)
    memory = np.zeros(X.size + Y.size, np.float32)  # side by side: apart
    memory[: X.size] = X.ravel()
    beside = memory[X.size :].reshape(Y.shape)
    assert np.array_equal(run_once(x=memory[: X.size].reshape(X.shape), out=beside), run_once())
    memory[Y.size :] = X.ravel()
    beside = memory[: Y.size].reshape(Y.shape)
    assert np.array_equal(run_once(x=memory[Y.size :].reshape(X.shape), out=beside), run_once())


def test_names_and_specifications_are_known():
    with pytest.raises(ValueError, match=r"algorithm: got 'sideways', expected one of .*im2col"):
        _core.Plan(PROBLEM, "sideways", W)
    with pytest.raises(ValueError, match="activation: got kind 'clop'"):
        _core.Plan(PROBLEM, "im2col", W, None, ("clop", 0.0, 1.0))
    with pytest.raises(ValueError, match="layout: got 'CHWN'"):
        _core.Problem("float32", 1, 1, 2, 2, 1, 1, 1, layout="CHWN")
    with pytest.raises(ValueError, match="dtype: got 'int8'"):
        _core.Problem("int8", 1, 1, 2, 2, 1, 1, 1)
    with pytest.raises(ValueError, match="pointwise"):
        _core.Plan(PROBLEM, "pointwise", W)


FIELDS = ("N", "C", "H", "W", "K", "R", "S", "stride_h", "stride_w", "pad_top", "pad_bottom", "pad_left", "pad_right",
          "dilation_h", "dilation_w", "groups")  # fmt: skip


def problem(**numbers):
    sound = dict(zip(FIELDS, (2, 4, 6, 5, 6, 3, 2, 1, 2, 1, 0, 0, 1, 1, 1, 2), strict=True))
    return _core.Problem("float32", **{**sound, **numbers})


@pytest.mark.parametrize("name", FIELDS)
def test_a_problem_has_numbers_in_range(name):
    least = 0 if name == "N" or name.startswith("pad") else 1
    with pytest.raises(ValueError, match=f"{name}: got {least - 1}, expected at least {least}"):
        problem(**{name: least - 1})
    with pytest.raises(ValueError, match=f"{name}: got {2**40 + 1}, expected at most 2\\^40"):
        problem(**{name: 2**40 + 1})
    assert getattr(problem(**{"groups": 1, "R": 1, "S": 1, name: least}), name) == least


def test_a_problem_is_a_layer():
    with pytest.raises(ValueError, match="groups"):
        problem(groups=3)  # 6 filters, but 4 channels
    with pytest.raises(ValueError, match="groups"):
        problem(groups=4)  # 4 channels, but 6 filters
    assert problem(R=7).P == 1  # as high as the padded image
    with pytest.raises(ValueError):
        problem(R=8)
    assert problem(S=6).Q == 1
    with pytest.raises(ValueError):
        problem(S=7)
    assert problem(R=4, dilation_h=2).P == 1
    with pytest.raises(ValueError):
        problem(R=4, dilation_h=3)
    with pytest.raises(ValueError):
        problem(S=3, dilation_w=3)
    with pytest.raises(ValueError, match="error_limit"):
        problem().with_error_limit(-1.0)
    with pytest.raises(ValueError, match="error_limit"):
        problem().with_error_limit(float("nan"))
    assert problem().with_error_limit(0.0).error_limit == 0


def test_equal_problems_are_equal():
    assert problem() == problem()
    assert hash(problem()) == hash(problem())
    assert problem() != "Problem"
    for name in FIELDS:
        other = problem(**{name: 1 if name == "groups" else getattr(problem(), name) + (2 if name in "KC" else 1)})
        assert other != problem()
    assert problem() != problem().with_variant(1)
    assert problem() != problem().with_error_limit(1.0)
    assert problem() != _core.Problem("float64", *(getattr(problem(), name) for name in FIELDS))
    assert problem() != _core.Problem("float32", *(getattr(problem(), name) for name in FIELDS), "NHWC")
    assert repr(problem()).startswith("Problem('float32', 2, 4, 6, 5, ") or "float32" in repr(problem())


def test_gradients_by_the_weights_check_their_arrays():
    right = _core.weight_gradient(PROBLEM, X, Y, None)
    assert right.shape == W.shape
    for name, array in (("x", X), ("gradient", Y), ("out", W)):
        for wrong, word in [*spoilt(array), (reshaped(array), "shape")]:
            arrays = {"x": X, "gradient": Y, "out": None, name: wrong}
            with pytest.raises((ValueError, TypeError), match=f"{name}: .*{word}"):
                _core.weight_gradient(PROBLEM, *arrays.values())
    for name, array in (("x", X), ("gradient", Y)):
        operand, out = overlapping(W, array)
        arrays = {"x": X, "gradient": Y, name: operand}
        with pytest.raises(ValueError, match=f"out: got memory that overlaps {name}"):
            _core.weight_gradient(PROBLEM, *arrays.values(), out)


BYTES = _core.Problem("float32", 2, 4, 6, 5, 6, 3, 2)
XB, WB, ZERO = np.ones((2, 4, 6, 5), np.uint8), np.ones((6, 4, 3, 2), np.int8), np.zeros(6, np.int32)
BIAS, SCALE = np.arange(6, dtype=np.int32), np.full(6, 0.5, np.float32)


def integer_plan(weight=WB, zero=ZERO, bias=BIAS, scale=None):
    return _core.IntegerPlan(BYTES, False, weight, 0, zero, bias, None if scale is None else (scale, 3, True))


def test_convolutions_of_bytes_check_their_arrays():
    assert integer_plan()(XB).shape == (2, 6, 4, 4)
    assert integer_plan(scale=SCALE)(XB).dtype == np.int8
    for wrong in (WB.astype(np.int16), WB[:5], WB[..., :1], WB[0], strided(WB)):
        with pytest.raises((ValueError, TypeError), match="weight: "):
            integer_plan(wrong)
    for wrong in (ZERO[:5], np.zeros(7, np.int32), np.zeros((6, 1), np.int32)):
        with pytest.raises(ValueError, match="weight_zero: got shape"):
            integer_plan(zero=wrong)
        with pytest.raises(ValueError, match="bias: got shape"):
            integer_plan(bias=wrong)
        with pytest.raises(ValueError, match="scale: got shape"):
            integer_plan(scale=wrong.astype(np.float32))
    for wrong in (XB.astype(np.int8), XB.astype(np.float32), XB[:1], XB[0], XB[..., :4], strided(XB)):
        with pytest.raises((ValueError, TypeError), match="x: "):
            integer_plan()(wrong)
    for scale, dtype in ((None, np.int32), (SCALE, np.int8)):
        out = np.empty((2, 6, 4, 4), dtype)
        checked = integer_plan(scale=scale)
        assert checked(XB, out) is out
        for wrong in (out.astype(np.int64), out.astype(np.uint8), out[:1], out[0], out[..., :3], strided(out)):
            with pytest.raises((ValueError, TypeError), match="out: "):
                checked(XB, wrong)
        with pytest.raises(ValueError, match="out: got a read-only array"):
            checked(XB, read_only(out))
    memory = np.zeros(2 * 6 * 4 * 4 + XB.size, np.int8)
    with pytest.raises(ValueError, match="out: got memory that overlaps x"):
        integer_plan(scale=SCALE)(memory[: XB.size].view(np.uint8).reshape(XB.shape), memory[:192].reshape(2, 6, 4, 4))


AXIS = (6, 2, 7, 1, 1, 0, 0)  # extent, taps, outputs, stride, dilation, before, after


def layer(kind="transposed", dtype="float32", layout="NCHW", N=2, C=4, K=6, groups=2, axes=(AXIS,)):
    return _core.Layer(kind, dtype, layout, N, C, K, groups, list(axes))


def program(name="im2col", **numbers):
    lowering = _core.lower(layer(**numbers))
    return _core.Program(lowering, [(name, -1, 25.0)] * len(lowering.problems))


@pytest.mark.parametrize("run", ["program", "product"])
def test_layers_check_their_arrays(run):
    x, w, b, y = normal(2, 4, 6), normal(4, 3, 2), normal(6), normal(2, 6, 7)

    def call(x=x, w=w, b=b, out=y):
        if run == "program":
            return program()(x, w, b, out)
        return _core.spread_product(layer(), None, x, w, b, out)

    call()
    for name, array in (("x", x), ("weight", w), ("bias", b), ("out", y)):
        short = {"weight": "w", "bias": "b"}.get(name, name)
        for wrong, word in spoilt(array):
            with pytest.raises((ValueError, TypeError), match=f"{name}: .*{word}"):
                call(**{short: wrong})
        if name != "out":
            operand, out = overlapping(y, array)
            with pytest.raises(ValueError, match=f"out: got memory that overlaps {name}"):
                call(**{short: operand}, out=out)
    with pytest.raises(ValueError, match="out: got a read-only array"):
        call(out=read_only(y))
    with pytest.raises(TypeError, match="bias: expected an array"):
        call(b=[1.0] * 6)


def test_a_layer_has_numbers_in_range():
    for numbers in ({"N": -1}, {"C": 0}, {"K": 0}, {"groups": 0}, {"groups": 4}, {"N": 2**41}):
        with pytest.raises(ValueError, match=f"{next(iter(numbers))}: got"):
            layer(**numbers)
    for i, least in enumerate((1, 1, 1, 1, 1, 0, 0)):
        for wrong in (least - 1, 2**40 + 1):
            with pytest.raises(ValueError, match="axes: expected"):
                layer(axes=[(*AXIS[:i], wrong, *AXIS[i + 1 :])])
    with pytest.raises(ValueError, match="axes: expected outputs within the padded input"):
        layer("forward", axes=[(6, 2, 6, 1, 1, 0, 0)])
    assert layer("forward", axes=[(6, 2, 5, 1, 1, 0, 0)]).outputs == (1, 1, 5)
    with pytest.raises(ValueError, match="output: expected a size that fits"):
        layer(axes=[(6, 2, 2**40, 1, 1, 0, 0), (6, 2, 2**40, 1, 1, 0, 0)])
    with pytest.raises(ValueError, match="kind: expected"):
        layer("sideways")
    assert layer() == layer() and hash(layer()) == hash(layer()) and layer() != layer(N=3) and layer() != "Layer"


def test_plans_of_layers_check_their_arrays():
    x, w, y = normal(2, 4, 6), normal(4, 3, 2), normal(2, 6, 7)
    of_layer = _core.Plan(program(), w)
    expected = np.empty_like(y)
    program()(x, w, None, expected)
    assert np.array_equal(of_layer(x, y), expected)
    for wrong, word in spoilt(x):
        with pytest.raises((ValueError, TypeError), match=f"x: .*{word}"):
            of_layer(wrong)
    for wrong, word in spoilt(w):
        with pytest.raises((ValueError, TypeError), match=f"weight: .*{word}"):
            _core.Plan(program(), wrong)
    for wrong, word in spoilt(y):
        with pytest.raises((ValueError, TypeError), match=f"residual: .*{word}"):
            of_layer(x, y, wrong)


@pytest.mark.parametrize("call", ["remember", "_keep", "_kept"])
def test_what_is_kept_is_named_in_full(call):
    operator = _core.Operator()
    function = {"remember": _core.remember, "_keep": operator._keep, "_kept": operator._kept}[call]
    with pytest.raises(TypeError):
        function(1)
    with pytest.raises(TypeError, match="remembered_call: got 1 arguments, expected at least 7"):
        _core.remembered_call(1)
    with pytest.raises(AttributeError, match="expected to be initialized before it is used"):
        operator._recipe  # noqa: B018
