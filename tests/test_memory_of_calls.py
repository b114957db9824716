"""What calls leave behind: remembered calls, kept plans and pickles. None outlives what it was made from."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastconv
import fastconv.grad
from fastconv import _core

rng = np.random.default_rng(7)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def whole(*shape, dtype=np.int8):
    return rng.integers(0, 100, shape).astype(dtype)


# Makes an operator from weights, and an input of it.
OPERATORS = {
    "Conv1d": (fastconv.Conv1d, normal(4, 3, 5), normal(2, 3, 20)),
    "Conv2d": (fastconv.Conv2d, normal(4, 3, 3, 3), normal(2, 3, 9, 8)),
    "Conv3d": (fastconv.Conv3d, normal(4, 3, 2, 3, 3), normal(1, 3, 4, 6, 5)),
    "ConvTranspose1d": (fastconv.ConvTranspose1d, normal(3, 4, 5), normal(2, 3, 20)),
    "ConvTranspose2d": (fastconv.ConvTranspose2d, normal(3, 4, 3, 3), normal(2, 3, 9, 8)),
    "ConvTranspose3d": (fastconv.ConvTranspose3d, normal(3, 4, 2, 3, 3), normal(1, 3, 4, 6, 5)),
    "half": (fastconv.Conv2d, normal(4, 3, 3, 3, dtype=np.float16), normal(2, 3, 9, 8, dtype=np.float16)),
    "complex": (fastconv.Conv2d, normal(4, 3, 3, 3) + 1j * normal(4, 3, 3, 3), normal(2, 3, 9, 8) * (1 + 1j)),
    "transposed half": (
        fastconv.ConvTranspose2d,
        normal(3, 4, 3, 3, dtype=np.float16),
        normal(2, 3, 9, 8, dtype=np.float16),
    ),
    "reflected": (
        lambda w: fastconv.Conv2d(w, padding=1, padding_mode="reflect"),
        normal(4, 3, 3, 3),
        normal(2, 3, 9, 8),
    ),
    "ConvInteger": (lambda w: fastconv.ConvInteger("int8", w), whole(4, 3, 3, 3), whole(2, 3, 9, 8)),
}


def initialize_again(op, w):
    if isinstance(op, fastconv.ConvInteger):
        op.__init__("int8", w)
    elif op._recipe.__class__.__module__.endswith("transposed"):
        op.__init__(w)
    else:
        op.__init__(w, padding_mode=op._recipe.padding_mode, padding=op._recipe.geometry.padding)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_that_is_initialized_again_forgets_its_plans(name):
    make, w, x = OPERATORS[name]
    op = make(w)
    op(x), op(x)
    other = (w[::-1].copy() // 2 if w.dtype.kind == "i" else w[::-1] * 2).astype(w.dtype)
    initialize_again(op, other)
    wanted = make(other)(x)
    assert not np.array_equal(wanted, make(w)(x))
    for _ in range(2):  # as a new shape, then as one seen before
        assert np.array_equal(op(x), wanted)


def test_an_operator_may_become_one_of_another_dtype_and_stride():
    w, x = normal(4, 3, 3, 3), normal(2, 3, 9, 8)
    op = fastconv.Conv2d(w)
    op(x)
    op.__init__(w.astype(np.float64), stride=2)
    with pytest.raises(TypeError, match="x: expected float64"):
        op(x)
    assert np.array_equal(
        op(x.astype(np.float64)), fastconv.conv2d(x.astype(np.float64), w.astype(np.float64), stride=2)
    )


def test_a_plan_made_from_the_recipe_of_before_is_not_kept():
    op = fastconv.Conv2d(normal(4, 3, 3, 3))
    before, shape = op._recipe, (2, 3, 9, 8)
    plan, layer = op._prepare(before, shape)
    op.__init__(normal(4, 3, 3, 3))  # as by another thread, during the call that made the plan
    op._keep(before, shape, layer.output_shape, plan, 100, 16, 10**6)
    assert op._plans() == 0
    op._keep(op._recipe, shape, layer.output_shape, plan, 100, 16, 10**6)
    assert op._plans() == 1
    assert op._kept(before, shape) is None
    assert op._kept(op._recipe, shape) is plan


@pytest.mark.parametrize("shapes", [((2, 3, 9, 9), (2, 4, 7, 6)), ((2, 3, 9, 8), (2, 4, 8, 6))])
def test_a_plan_is_kept_for_its_own_shapes_alone(shapes):
    op = fastconv.Conv2d(normal(4, 3, 3, 3))
    plan, _ = op._prepare(op._recipe, (2, 3, 9, 8))
    with pytest.raises(ValueError, match="plan: expected one for arrays of these shapes"):
        op._keep(op._recipe, *shapes, plan, 100, 16, 10**6)
    assert op._plans() == 0


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda op, n=n: pickle.loads(pickle.dumps(op, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_copy_of_a_used_operator_is_its_own(name, how):
    make, w, x = OPERATORS[name]
    op = make(w)
    wanted = op(x)
    twin = COPIES[how](op)
    initialize_again(op, np.zeros_like(w))
    for _ in range(2):
        assert np.array_equal(twin(x), wanted)
    assert not op(x).any()
    assert repr(twin) == repr(make(w))


class Named(fastconv.Conv2d):
    """A subclass with a constructor and attributes of its own."""

    def __init__(self, name):
        super().__init__(np.ones((1, 1, 2, 2), np.float32), stride=2)
        self.name = name


@pytest.mark.parametrize("how", COPIES)
def test_copies_have_the_attributes_of_a_subclass(how):
    twin = COPIES[how](Named("edges"))
    assert type(twin) is Named
    assert twin.name == "edges"
    assert np.array_equal(twin(np.ones((1, 4, 4), np.float32)), np.full((1, 2, 2), 4, np.float32))


OPTIONS = {
    "everything": lambda: fastconv.Conv2d(
        normal(4, 2, 3, 3), normal(4), 2, ((1, 0), (2, 1)), (1, 2), 2, activation=("clip", -1, 1), layout="NHWC",
        workspace_limit=10**8, max_error=0.5,
    ),
    "same": lambda: fastconv.Conv1d(normal(4, 2, 3), padding="same", accuracy="strict", algorithm="direct"),
    "transposed": lambda: fastconv.ConvTranspose2d(
        normal(4, 2, 3, 3), normal(4), (2, 3), ((1, 0), (0, 1)), (1, 0), 2, 1, activation="relu", layout="NHWC"
    ),
    "integers": lambda: fastconv.ConvInteger(
        "uint8", whole(4, 3, 3, 3), 3, np.arange(4), 2, 1, bias=np.arange(4, dtype=np.int32),
        requantization=fastconv.Requantization(np.arange(1, 5) / 64, -3, "int8"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_pickles_have_every_option(name):
    op = OPTIONS[name]()
    twin = pickle.loads(pickle.dumps(op))
    x = {
        "everything": lambda: normal(2, 9, 8, 4),
        "same": lambda: normal(2, 2, 30),
        "transposed": lambda: normal(2, 5, 4, 4),
        "integers": lambda: whole(2, 3, 9, 8, dtype=np.uint8),
    }[name]()
    assert np.array_equal(twin(x), op(x))
    assert repr(twin) == repr(op)
    ours, theirs = op.__getstate__()["arguments"], twin.__getstate__()["arguments"]
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours if isinstance(ours[key], np.ndarray))
    assert [ours[key] for key in ours if not isinstance(ours[key], np.ndarray | tuple)] == [
        theirs[key] for key in ours if not isinstance(ours[key], np.ndarray | tuple)
    ]


@pytest.mark.parametrize("version", [2, None])
@pytest.mark.parametrize("name", OPERATORS)
def test_a_pickle_of_another_version_is_refused(name, version):
    make, w, _ = OPERATORS[name]
    op = make(w)
    state = op.__getstate__()
    assert state["version"] == 1
    fresh = type(op).__new__(type(op))
    other = {**state, "version": version} if version else {"recipe": state["arguments"]}
    with pytest.raises(
        ValueError, match=f"{type(op).__name__}: expected a pickle of version 1, .* got version {version}"
    ):
        fresh.__setstate__(other)


def test_states_are_plain_values():
    """Private classes in a pickle would be made, and fail, before its version is read."""
    for make in OPTIONS.values():
        text = pickle.dumps(make())
        named = {
            line for line in (b"_Recipe", b"Geometry", b"Spread", b"Space", b"Sums", b"Requantization") if line in text
        }
        assert not named


def test_a_problem_of_another_version_is_refused():
    problem = _core.Problem("float64", 1, 2, 5, 6, 4, 3, 2, 2, 1, layout="NHWC", error_limit=3.0, variant=1)
    for n in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(problem, n)) == problem
    state = problem.__getstate__()
    for wrong in ((2, *state[1:]), state[1:], (*state, 0), ()):
        with pytest.raises(ValueError, match="Problem: expected a pickle of version 1"):
            _core.Problem.__new__(_core.Problem).__setstate__(wrong)


class Resizing(np.ndarray):
    """An `out` whose `dtype`, asked for during the checks, gives the input another shape."""

    def __array_finalize__(self, other):
        self.todo = getattr(other, "todo", None)

    @property
    def dtype(self):
        if self.todo is not None:
            todo, self.todo = self.todo, None
            todo()
        return np.ndarray.dtype.__get__(self)


def resizing(shape, dtype, todo):
    out = np.empty(shape, dtype).view(Resizing)
    out.todo = todo
    return out


@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (1, 1, 40, 30), (1, 1, 16, 4)])
def test_an_out_that_resizes_the_input_leaves_nothing_behind(shape):
    """(1, 1, 16, 4) has as many values as the input had."""
    _core.forget()
    x, w = np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 3, 3), np.float32)
    out = resizing((1, 1, 6, 6), np.float32, lambda: x.resize(shape, refcheck=False))
    try:
        fastconv.conv2d(x, w, out=out)
    except ValueError:
        assert _core.remembered() == 0
    for size in ((1, 1, 8, 8), shape):
        if min(size) < 3 and size[2] < 3:
            continue
        for _ in range(2):
            y = fastconv.conv2d(np.ones(size, np.float32), w)
            assert y.shape == (1, 1, size[2] - 2, size[3] - 2)
            assert (y == 9).all()


class Array:
    """What NumPy makes an array of by asking it, which gives the input another shape."""

    def __init__(self, array, todo):
        self.array, self.todo = array, todo

    def __array__(self, dtype=None, copy=None):
        self.todo()
        return self.array


X2, W2 = np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 3, 3), np.float32)
# Of an input, an output or None, and a residual or None.
CALLS = {
    "conv2d": lambda x, out, added: fastconv.conv2d(x, W2, out=out, residual=added),
    "conv2d, twice": lambda x, out, added: (fastconv.conv2d(X2, W2), fastconv.conv2d(x, W2, out=out, residual=added))[
        1
    ],
    "Conv2d": lambda x, out, added: fastconv.Conv2d(W2)(x, out, residual=added),
    "conv_transpose2d": lambda x, out, added: fastconv.conv_transpose2d(x, W2, padding=2, out=out, residual=added),
    "ConvTranspose2d": lambda x, out, added: fastconv.ConvTranspose2d(W2, padding=2)(x, out, residual=added),
    "conv3d": lambda x, out, added: fastconv.conv3d(x, W2[None], out=out, residual=added),
    "reflect": lambda x, out, added: fastconv.conv2d(
        x, W2, padding=1, padding_mode="reflect", stride=(2, 2), dilation=1, out=out, residual=added
    ),
    "complex": lambda x, out, added: fastconv.conv2d(x, W2, promote=True, out=out, residual=added),
}


@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (1, 1, 40, 30), (1, 1, 16, 4)])
@pytest.mark.parametrize("by", ["out", "residual"])
@pytest.mark.parametrize("name", CALLS)
def test_code_of_the_callers_that_runs_during_a_call_cannot_make_it_read_elsewhere(name, by, shape):
    call = CALLS[name]
    wanted = call(X2, None, None)
    x = X2.copy()

    def todo():
        x.resize(shape, refcheck=False)

    try:
        if by == "out":
            y = call(x, resizing(wanted.shape, wanted.dtype, todo), None)
        else:
            y = call(x, None, Array(np.zeros_like(wanted), todo))
    except (ValueError, TypeError):
        pass
    else:
        assert np.array_equal(y, wanted) or x.shape == shape
    for _ in range(2):
        assert np.array_equal(call(X2, None, None), wanted)
    grown = np.ones((1, 1, 40, 30), np.float32)
    assert np.array_equal(call(grown, None, None), call(grown.copy(), np.empty_like(call(grown, None, None)), None))


def test_an_out_is_what_its_memory_is_whatever_its_class_says():
    """Its attributes may be code, and are not asked."""
    out = resizing((1, 1, 6, 6), np.float32, lambda: pytest.fail("asked"))
    assert fastconv.conv2d(X2, W2, out=out) is out
    assert (np.ndarray.view(out, np.ndarray) == 9).all()


@pytest.mark.parametrize("what", ["Conv2d", "ConvTranspose2d", "ConvInteger"])
def test_a_call_of_an_operator_that_raises_keeps_no_plan(what):
    make, w, x = OPERATORS[what]
    op = make(w)
    with pytest.raises((TypeError, ValueError), match="out"):
        op(x, out=np.empty((1, 1), np.float32))
    assert op._plans() == 0
    op(x)
    assert op._plans() == 1


def test_a_call_that_raises_is_not_remembered():
    _core.forget()
    x, w = normal(1, 3, 8, 8), normal(2, 3, 3, 3)
    for wrong in ({"out": np.empty((1, 2, 6, 5), np.float32)}, {"residual": normal(1, 2)}, {"workspace_limit": 0}):
        with pytest.raises(ValueError):
            fastconv.conv2d(x, w, **wrong)
        assert _core.remembered() == 0
    read_only = np.empty((1, 2, 6, 6), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a writable array"):
        fastconv.conv2d(x, w, out=read_only)
    assert _core.remembered() == 0
    fastconv.conv2d(x, w)
    assert _core.remembered() == 1


def test_a_memory_of_another_problem_is_not_believed():
    """Whoever remembers wrongly: a call compares its arrays with what the problem needs."""
    _core.forget()
    x, w = normal(1, 2, 8, 8), normal(4, 2, 3, 3)
    options = (1, 0, 1, 1, "auto", "NCHW", None, None, "balanced", None, False, "zeros")
    wanted = fastconv.conv2d(x, w)
    rows, columns = (8, 3, 6, 1, 1, 0, 0), (8, 3, 6, 1, 1, 0, 0)
    for axes, output in (
        (((9, 3, 7, 1, 1, 0, 0), columns), (1, 4, 7, 6)),  # a larger input
        ((rows, (8, 4, 5, 1, 1, 0, 0)), (1, 4, 6, 5)),  # larger weights
        (((8, 3, 8, 1, 1, 1, 1), columns), (1, 4, 6, 6)),  # a larger output
    ):
        _core.forget()
        lowering = _core.lower(_core.Layer("forward", "float32", "NCHW", 1, 2, 4, 1, axes))
        program = _core.Program(lowering, [("direct", -1, 25.0)])
        _core.remember(program, (x.shape, w.shape, output), "conv2d", False, 0, options)
        assert _core.remembered() == 1
        for given in ({}, {"out": np.empty_like(wanted)}):
            y = fastconv.conv2d(x, w, **given)
            assert y.shape == wanted.shape
            np.testing.assert_allclose(y, wanted, 1e-5, 1e-5)


LONGEST = {
    "conv1d": (fastconv.conv1d, (2, 4, 20), (4, 2, 3), 1),
    "conv2d": (fastconv.conv2d, (2, 4, 9, 8), (4, 2, 3, 3), 2),
    "conv3d": (fastconv.conv3d, (2, 4, 5, 6, 7), (4, 2, 3, 3, 3), 3),
    "conv_transpose1d": (fastconv.conv_transpose1d, (2, 4, 20), (4, 2, 3), 1),
    "conv_transpose2d": (fastconv.conv_transpose2d, (2, 4, 9, 8), (4, 2, 3, 3), 2),
    "conv_transpose3d": (fastconv.conv_transpose3d, (2, 4, 5, 6, 7), (4, 2, 3, 3, 3), 3),
}


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_call_is_remembered(name):
    convolve, shape, filters, rank = LONGEST[name]
    _core.forget()
    x, w, b = normal(*shape), normal(*filters), normal(4)
    out = np.empty(convolve(x, w, padding=((1, 1),) * rank, groups=2).shape, np.float32)
    _core.forget()
    for options in ({"max_error": 0.5}, {"accuracy": "balanced"}):
        more = {"output_padding": (0,) * rank} if "transpose" in name else {}
        convolve(
            x,
            w,
            b,
            (1,) * rank,
            ((1, 1),) * rank,
            dilation=(1,) * rank,
            groups=2,
            **more,
            algorithm="im2col",
            layout=("NCW", "NCHW", "NCDHW")[rank - 1],
            activation=("clip", 0.0, 6.0),
            workspace_limit=10**9,
            residual=normal(*out.shape),
            out=out,
            **options,
        )
    assert _core.remembered() == 2


def test_pairs_and_an_activation_are_remembered():
    _core.forget()
    fastconv.conv2d(
        normal(1, 2, 8, 8), normal(4, 2, 3, 3), normal(4), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, activation="relu"
    )
    assert _core.remembered() == 1


def test_a_remembered_call_does_not_write_to_a_read_only_out():
    x, w = normal(1, 2, 8, 8), normal(4, 2, 3, 3)
    fastconv.conv2d(x, w), fastconv.conv2d(x, w)
    op = fastconv.Conv2d(w)
    op(x)
    out = np.zeros((1, 4, 6, 6), np.float32)
    out.flags.writeable = False
    for call in (lambda: fastconv.conv2d(x, w, out=out), lambda: op(x, out=out)):
        with pytest.raises(ValueError, match="out: expected a writable array"):
            call()
        assert not out.any()


@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "ConvTranspose3d"])
@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float64, np.float32)])
def test_a_warm_operator_refuses_the_other_dtype(name, dtypes):
    make, w, x = OPERATORS[name]
    own, other = dtypes
    op = make(w.astype(own))
    y = op(x.astype(own))
    wanted = y.copy()
    with pytest.raises(TypeError, match=f"x: expected {np.dtype(own).name}"):
        op(x.astype(other))
    with pytest.raises(TypeError, match=f"out: expected {np.dtype(own).name}"):
        op(x.astype(own), out=np.empty(y.shape, other))
    assert np.array_equal(op(x.astype(own)), wanted)


def test_gradients_remember_layers_by_plain_numbers_alone():
    """A tuple that says it equals every other one is not a key."""

    class Equal(tuple):
        __slots__ = ()
        __hash__ = tuple.__hash__

        def __eq__(self, other):
            return True

    w, dy = normal(4, 3, 3, 3), normal(2, 4, 6, 5)
    wanted = fastconv.grad.conv2d_input((2, 3, 8, 7), w, dy)
    before = fastconv.grad._lay.cache_info().currsize
    assert np.array_equal(fastconv.grad.conv2d_input(Equal((2, 3, 8, 7)), w, dy), wanted)
    assert fastconv.grad._lay.cache_info().currsize == before


FORMS = {
    "plain": lambda call, y: call(),
    "out": lambda call, y: call(out=np.empty_like(y)),
    "residual": lambda call, y: call(residual=y),
    "residual, out": lambda call, y: call(residual=y, out=np.empty_like(y)),
    "accumulate": lambda call, y: call(out=y.copy(), accumulate=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_call_like_one_before_runs_no_python_code(form, monkeypatch):
    w, b, x = normal(4, 3, 3, 3), normal(4), normal(2, 3, 9, 8)
    op = fastconv.Conv2d(w, b)
    calls = {
        "_checked_call": lambda **options: op(x, **options),
        "_first_call": lambda **options: fastconv.conv2d(x, w, b, **options),
    }
    wanted = {name: FORMS[form](call, op(x)) for name, call in calls.items()}
    monkeypatch.setattr(fastconv.Conv2d, "_checked_call", lambda *_, **__: pytest.fail("went the long way"))
    monkeypatch.setattr("fastconv.conv._first_call", lambda *_, **__: pytest.fail("went the long way"))
    for name, call in calls.items():
        assert np.array_equal(FORMS[form](call, op(x)), wanted[name])


@pytest.mark.parametrize("prepared", [True, False])
def test_a_call_like_one_before_is_checked_all_the_same(prepared):
    w, x = normal(4, 3, 3, 3), normal(2, 3, 9, 8)
    op = fastconv.Conv2d(w)
    call = op if prepared else lambda x, **options: fastconv.conv2d(x, w, **options)
    y = call(x)
    memory = np.zeros(y.size + x.size, np.float32)
    memory[: x.size] = x.ravel()
    inside = memory[: x.size].reshape(x.shape)
    for options, name in (
        ({"out": np.empty((2, 4, 7, 5), np.float32)}, "out"),
        ({"out": memory[x.size - 1 :][: y.size].reshape(y.shape)}, "out"),
        ({"residual": np.zeros((2, 4, 7, 5), np.float32)}, "residual"),
        ({"residual": np.zeros(y.shape)}, "residual"),
        ({"residual": memory[1:][: y.size].reshape(y.shape), "out": memory[: y.size].reshape(y.shape)}, "out|residual"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"^({name}): "):
            call(inside, **options)
    assert np.array_equal(call(x), y)


def test_what_is_no_shape_has_no_plan():
    op = fastconv.Conv2d(normal(4, 3, 3, 3))
    for shape in ((1,), (1, 1, 1, 1, 1, 1), [2, 3, 9, 8], None):
        assert op._kept(op._recipe, shape) is None
