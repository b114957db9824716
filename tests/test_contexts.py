"""Blocks that set threads and instruction set belong to a context: a thread, an asyncio task. Each sees its own, and
afterwards all is as before, however they overlap.
"""

import asyncio
import contextvars
import itertools
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from children import run_checked

import fastconv
from fastconv import _core

X, W = np.ones((1, 8, 12, 12), np.float32), np.ones((8, 8, 3, 3), np.float32)


def seen():
    return fastconv.get_num_threads(), _core.get_isa()


@pytest.fixture(autouse=True)
def nothing_stays():
    before = seen(), _core.settings.get(None)
    yield
    assert seen() == before[0]
    assert _core.settings.get(None) in (before[1], (0, -1, ()))


def both(threads, isa):
    stack = ExitStack()
    stack.enter_context(fastconv.num_threads(threads))
    stack.enter_context(fastconv.use_isa(isa))
    return stack


def test_blocks_of_two_threads_that_overlap():
    before = seen()
    turn = threading.Barrier(2, timeout=60)

    def first():
        with both(5, "scalar"):
            turn.wait()  # the second has begun
            turn.wait()
            inside = seen()
        turn.wait()  # it ends while the second goes on
        turn.wait()
        return inside, seen()

    def second():
        turn.wait()
        with fastconv.num_threads(7):
            turn.wait()
            turn.wait()
            inside = seen()
            turn.wait()
        return inside, seen()

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(f) for f in (first, second)]
        assert results[0].result(60) == ((5, "scalar"), before)
        assert results[1].result(60) == ((7, before[1]), before)
    assert seen() == before


def test_blocks_of_generators_that_take_turns():
    """In one context, none of the blocks lies in the other: to put back what was read would leave 5 for good."""
    before = seen()

    def block(n):
        with fastconv.num_threads(n):
            yield
        yield

    one, two = block(5), block(7)
    next(one)
    assert seen()[0] == 5
    next(two)
    assert seen()[0] == 7
    next(one)  # ends the first
    assert seen()[0] == 7
    next(two)
    assert seen() == before


def steps(rng):
    """Blocks opened and closed at random, and what is to be seen after each."""
    isas = fastconv.available_isas()
    depth = 0
    for _ in range(30):
        if depth and rng.random() < 0.5:
            depth -= 1
            yield None
        else:
            depth += 1
            yield rng.randrange(1, 257), rng.choice(isas)
    for _ in range(depth):
        yield None


def walk(seed):
    """Does them, and pauses after each: whoever drives it says who goes on."""
    stack = [seen()]
    blocks = []
    for step in steps(random.Random(seed)):
        if step is None:
            blocks.pop().close()
            stack.pop()
        else:
            blocks.append(both(*step))
            stack.append(step)
        yield
        assert seen() == stack[-1]
        assert fastconv.explain(X.shape, W.shape).isa == stack[-1][1]


def test_random_interleavings_of_tasks():
    async def task(seed):
        for _ in walk(seed):
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(task(seed) for seed in range(12)))

    asyncio.run(main())


def test_random_interleavings_of_threads():
    """One thread at a time, in a random order that the seed fixes."""
    rng = random.Random(0)
    walkers = [(ThreadPoolExecutor(1), walk(seed)) for seed in range(6)]
    while walkers:
        thread, walker = rng.choice(walkers)
        if thread.submit(next, walker, "end").result(60) == "end":
            thread.shutdown()
            walkers.remove((thread, walker))


def test_who_inherits_a_block():
    with both(5, "scalar"):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(contextvars.copy_context().run, seen).result(60) == (5, "scalar")

        async def parent():
            return await asyncio.create_task(child())

        async def child():
            return seen()

        assert asyncio.run(parent()) == (5, "scalar")
        assert contextvars.Context().run(seen) != (5, "scalar")


def test_a_block_that_ends_in_another_context_leaves_that_one_alone():
    def block():
        with fastconv.num_threads(5):
            yield

    opened = block()
    contextvars.copy_context().run(next, opened)
    with fastconv.num_threads(7):
        opened.close()
        assert seen()[0] == 7


def test_the_process_has_a_number_of_its_own():
    before = fastconv.get_num_threads()
    try:
        with fastconv.num_threads(5):
            fastconv.set_num_threads(3)
            assert fastconv.get_num_threads() == 5
            assert contextvars.Context().run(fastconv.get_num_threads) == 3
        assert fastconv.get_num_threads() == 3
    finally:
        fastconv.set_num_threads(before)


def test_a_block_as_a_decorator():
    @fastconv.num_threads(5)
    def count():
        return fastconv.get_num_threads()

    before = fastconv.get_num_threads()
    assert count() == count() == 5
    assert fastconv.get_num_threads() == before


BIG = _core.Problem("float32", 1, 32, 40, 40, 32, 3, 3)
WEIGHT = np.ones((32, 32, 3, 3), np.float32)


def integer_plan():
    problem = _core.Problem("float32", 1, 32, 60, 60, 32, 3, 3)
    return _core.IntegerPlan(problem, False, WEIGHT.astype(np.uint8), 0, np.zeros(32, np.int32), None, None)


# What the core tells of threads and instruction sets, each in its own way.
TOLD = {
    "get": seen,
    "explain": lambda: fastconv.explain((1, 32, 40, 40), (32, 32, 3, 3)),
    "workspace of a call": lambda: _core.workspace_bytes("im2col", BIG),
    "packed": lambda: (_core.packed_bytes("im2col", BIG), _core.get_num_threads()),
    "cost": lambda: (_core.cost("direct", BIG), _core.get_num_threads()),
    "variant": lambda: (_core.variant("direct", BIG), seen()),
    "plan": lambda: (_core.Plan(BIG, "im2col", WEIGHT).isa, _core.Plan(BIG, "im2col", WEIGHT).workspace_bytes),
    "plan of bytes": lambda: (integer_plan().isa, integer_plan().workspace_bytes),
    "prepared": lambda: fastconv.Conv2d(WEIGHT).explain((1, 32, 40, 40)),
}


@pytest.mark.parametrize("what", TOLD)
def test_all_of_the_core_sees_the_block(what):
    """As it sees what is set for the whole process."""
    tell = TOLD[what]
    threads, isa = seen()
    _core.set_num_threads(threads + 6)
    _core.set_isa("scalar")
    try:
        expected = contextvars.Context().run(tell)
    finally:
        _core.set_num_threads(threads)
        _core.set_isa(isa)
    with both(threads + 6, "scalar"):
        assert tell() == expected
    if isa != "scalar":
        assert tell() != expected


def test_remembered_calls_know_the_block():
    """They run no Python code, and are remembered for the instruction set and the threads that they were made for."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(a.shape).astype(np.float32) for a in (X, W))
    expected = {}
    for isa in fastconv.available_isas():
        with fastconv.use_isa(isa):
            expected[isa] = _core.Plan(_core.Problem("float32", 1, 8, 12, 12, 8, 3, 3), "direct", w)(x).tobytes()
    _core.forget()
    settings = list(itertools.product(fastconv.available_isas(), (1, 2)))
    for _ in range(2):
        for isa, threads in settings:
            with both(threads, isa):
                y = fastconv.conv2d(x, w, algorithm="direct")
            assert y.tobytes() == expected[isa]
        assert _core.remembered() == len(settings)


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir() or not hasattr(os, "fork"), reason="threads are counted in /proc"
)
def test_every_kind_of_call_uses_the_threads_of_its_block():
    code = """
        import os, numpy as np, fastconv as fc
        def ones(*shape): return np.ones(shape, np.float32)
        x, w, volume = ones(2, 32, 40, 40), ones(32, 32, 3, 3), ones(2, 16, 8, 20, 20)
        bytes_, words = np.ones((2, 32, 60, 60), np.uint8), np.ones((32, 32, 3, 3), np.int8)
        taps, y = ones(16, 16, 3, 3, 3), ones(2, 32, 38, 38)
        prepared = fc.Conv2d(w), fc.ConvTranspose2d(w, stride=2), fc.Conv3d(taps), fc.ConvInteger("uint8", words)
        calls = [
            lambda: fc.conv2d(x, w),
            lambda: fc.conv2d(x, w),  # remembered now
            lambda: prepared[0](x),
            lambda: prepared[0](x),
            lambda: prepared[0]._run_at(x.shape, x.ctypes.data, y.ctypes.data) or 1 / 0,
            lambda: prepared[1](x),
            lambda: prepared[2](volume),
            lambda: prepared[3](bytes_),
            lambda: fc.conv_transpose2d(x, w, stride=2),
            lambda: fc.conv3d(volume, taps),
            lambda: fc.conv_integer(bytes_, words),
            lambda: fc.grad.conv2d_weight(x, w.shape, ones(2, 32, 38, 38)),
            lambda: fc.grad.conv2d_input((2, 32, 40, 40), w, ones(2, 32, 38, 38)),
        ]
        def count(): return len(os.listdir("/proc/self/task"))
        def threads_started(call):  # by a process of its own, whose pool is empty
            pid = os.fork()
            if pid == 0:
                fc.set_num_threads(1)
                with fc.num_threads(2): call()
                os._exit(count())
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        fc.set_num_threads(8)
        alone = count()
        with fc.num_threads(1):
            for call in calls: call()
        print(count() - alone, *(threads_started(call) for call in calls))
    """
    assert run_checked(code) == " ".join(["0", *["2"] * 13])
