"""What calls keep for the next ones: plans by their bytes, workspace up to a bound, and how it is given back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import _core
from fastconv.prepared_call import PLAN_BYTES, PLANS_KEPT

MIB = 1 << 20


def normal(*shape, dtype="float32"):
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


OPERATORS = {
    "Conv1d": (lambda: fastconv.Conv1d(normal(8, 8, 3)), lambda n: normal(1, 8, n)),
    "Conv2d": (lambda: fastconv.Conv2d(normal(8, 8, 3, 3)), lambda n: normal(1, 8, n, 7)),
    "Conv3d": (lambda: fastconv.Conv3d(normal(4, 4, 2, 3, 3)), lambda n: normal(1, 4, 3, n, 5)),
    "ConvTranspose1d": (lambda: fastconv.ConvTranspose1d(normal(8, 8, 4), stride=2), lambda n: normal(1, 8, n)),
    "ConvTranspose2d": (lambda: fastconv.ConvTranspose2d(normal(8, 8, 3, 3), stride=2), lambda n: normal(1, 8, n, 7)),
    "ConvTranspose3d": (
        lambda: fastconv.ConvTranspose3d(normal(4, 4, 2, 3, 3), stride=2),
        lambda n: normal(1, 4, 3, n, 5),
    ),
    "ConvInteger": (
        lambda: fastconv.ConvInteger("uint8", np.ones((8, 8, 3, 3), np.int8)),
        lambda n: np.ones((1, 8, n, 7), np.uint8),
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_of_small_weights_keeps_a_plan_for_each_of_many_shapes(name):
    make, image = OPERATORS[name]
    op = make()
    sizes = range(3, 3 + 3 * PLANS_KEPT)
    plans = []
    for _ in range(2):
        for n in sizes:
            x = image(n)
            op(x)
            plans.append(op._kept(op._recipe, x.shape))
    assert op._plans() == len(sizes)
    assert all(first is second for first, second in zip(plans, plans[len(sizes) :], strict=False)), "packed once"


@pytest.mark.parametrize("name", OPERATORS)
def test_plans_beyond_the_bytes_go_and_those_used_least_recently_go_first(name, monkeypatch):
    make, image = OPERATORS[name]
    op = make()
    op(image(5))
    one = op._plan_bytes()
    monkeypatch.setattr("fastconv.prepared_call.PLANS_KEPT", 2)
    monkeypatch.setattr("fastconv.prepared_call.PLAN_BYTES", 3 * one)
    op(image(6))
    op(image(5))
    for n in (7, 8, 9):
        op(image(5))
        op(image(n))
        assert op._plan_bytes() <= 3 * one or op._plans() == 2
    assert op._kept(op._recipe, image(5).shape) is not None
    assert op._kept(op._recipe, image(6).shape) is None
    assert 2 <= op._plans() <= 4


def test_large_weights_keep_the_plans_that_were_always_kept():
    """Each plan has more than a sixteenth of all bytes: as many stay as there were before bytes were counted."""
    op = fastconv.Conv2d(normal(512, 512, 1, 1))
    each = PLAN_BYTES // PLANS_KEPT
    w = normal(1024, 1100, 1, 1)
    op = fastconv.Conv2d(w)
    assert w.nbytes > each
    for n in range(1, PLANS_KEPT + 4):
        op(np.zeros((1, 1100, 1, n + 1), np.float32))
    assert op._plans() == PLANS_KEPT
    assert op._kept(op._recipe, (1, 1100, 1, 2)) is None
    assert op._plan_bytes() >= PLANS_KEPT * w.nbytes


def test_plans_say_what_their_weights_take():
    weight = normal(32, 32, 3, 3)
    plain, transposed = fastconv.Conv2d(weight), fastconv.ConvTranspose2d(weight, stride=2)
    volume = fastconv.Conv3d(normal(32, 32, 2, 3, 3))
    x, v = normal(1, 32, 9, 9), normal(1, 32, 4, 9, 9)
    for op, image in ((plain, x), (transposed, x), (volume, v)):
        op(image)
        assert op._kept(op._recipe, image.shape).packed_bytes >= weight.nbytes
        assert op._plan_bytes() > op._kept(op._recipe, image.shape).packed_bytes
    kept = transposed._kept(transposed._recipe, x.shape)
    parts = zip(kept.program.algorithms, kept.program.lowering.problems, strict=True)
    assert kept.packed_bytes == sum(_core.packed_bytes(*part) for part in parts)


@pytest.mark.parametrize("name", ["ConvInteger", "Conv2d"])
def test_new_shapes_from_four_threads_at_once_give_results_and_a_bounded_number_of_plans(name, monkeypatch):
    make, image = OPERATORS[name]
    op = make()
    monkeypatch.setattr("fastconv.prepared_call.PLAN_BYTES", 0)
    expected = {n: make()(image(n)) for n in range(3, 60)}
    failures = []
    start = threading.Barrier(4)

    def call(offset):
        start.wait()
        for i in range(400):
            n = 3 + (i * 7 + offset * 13) % 57
            try:
                if not np.array_equal(op(image(n)), expected[n]):
                    failures.append(f"wrong for {n}")
            except Exception as error:
                failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
    assert op._plans() <= PLANS_KEPT


def with_workspace(n=1):
    """A call whose workspace takes some MiB."""
    x = np.zeros((n, 64, 112, 112), np.float32)
    return fastconv.conv2d(x, np.zeros((64, 64, 3, 3), np.float32), padding=1, algorithm="winograd")


def test_workspace_is_kept_within_the_bound_and_given_back():
    fastconv.release_memory()
    assert _core.idle_bytes() == 0
    with_workspace()
    kept = _core.idle_bytes()
    assert MIB < kept <= _core.most_idle_bytes()
    with_workspace()
    assert _core.idle_bytes() == kept, "the second call took what the first one left"
    assert fastconv.release_memory() == kept
    assert _core.idle_bytes() == 0
    assert fastconv.release_memory() == 0


def test_the_bound_is_what_the_docs_say():
    assert _core.most_idle_bytes() == 16 * MIB * max(3, _core.cpu_info()["usable_cpus"])


def test_threads_that_have_called_keep_nothing_of_their_own():
    """Sixty threads, one call each in turn, all alive: what is kept is one call's, not sixty."""
    fastconv.release_memory()
    with_workspace()
    alone = _core.idle_bytes()
    done, end = threading.Semaphore(0), threading.Event()

    def call():
        with_workspace()
        done.release()
        end.wait()

    threads = []
    for _ in range(60):
        threads.append(threading.Thread(target=call))
        threads[-1].start()
        done.acquire()
    kept = _core.idle_bytes()
    end.set()
    for thread in threads:
        thread.join()
    assert kept <= 2 * alone


def test_memory_is_released_while_other_threads_are_in_calls():
    w = normal(64, 64, 3, 3)
    x = normal(1, 64, 40, 40)
    expected = fastconv.conv2d(x, w)
    stop, wrong, calls = threading.Event(), [], [0] * 4

    def call(i):
        while not stop.is_set():
            if not np.array_equal(fastconv.conv2d(x, w), expected):
                wrong.append(i)
            calls[i] += 1

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    while min(calls) < 20:
        assert fastconv.release_memory() >= 0
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


RESIDENT = r"""
import threading, numpy as np, fastconv

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024

fastconv.set_num_threads(1)
w = np.zeros((64, 64, 3, 3), np.float32)
x = np.zeros((1, 64, 300, 300), np.float32)
fastconv.Conv2d(w)(x)
fastconv.release_memory()
x, y = np.ones((1, 64, 128, 128), np.float32), np.ones((1, 32, 257, 257), np.float32)
ops = [fastconv.ConvTranspose2d(np.zeros((64, 32, 3, 3), np.float32), stride=2) for _ in range(24)]
before = resident()
inside, end = threading.Barrier(25), threading.Event()

def call(i):
    inside.wait()
    ops[i](x, out=y)  # zeros, by each of them
    inside.wait()
    end.wait()

threads = [threading.Thread(target=call, args=(i,)) for i in range(24)]
for thread in threads:
    thread.start()
inside.wait()
inside.wait()
held = resident()
released = fastconv.release_memory()
after = resident()
end.set()
for thread in threads:
    thread.join()
print(before, held, after, released, fastconv._core.most_idle_bytes())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_process_of_many_threads_that_have_called_stays_small():
    run = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, timeout=120, check=True)
    before, held, after, _, most = map(int, run.stdout.split())
    assert held - before <= most // MIB + 24, run.stdout
    assert after - before <= 24, run.stdout


FORKED = r"""
import os, signal, threading, numpy as np, fastconv

w, x = np.ones((8, 8, 3, 3), np.float32), np.ones((1, 8, 40, 40), np.float32)
expected = fastconv.conv2d(x, w)
stop = threading.Event()

def call():
    while not stop.is_set():
        fastconv.conv2d(x, w)

threads = [threading.Thread(target=call) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(60):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        good = np.array_equal(fastconv.conv2d(x, w), expected) and fastconv.release_memory() >= 0
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_others_call_can_call_and_release():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], timeout=120, check=True)


EXPLAINED = {
    "Conv1d": (fastconv.Conv1d(normal(8, 8, 3)), (1, 8, 20)),
    "Conv2d": (fastconv.Conv2d(normal(8, 8, 3, 3)), (1, 8, 20, 7)),
    "Conv3d": (fastconv.Conv3d(normal(4, 4, 2, 3, 3)), (1, 4, 3, 20, 5)),
    "ConvTranspose1d": (fastconv.ConvTranspose1d(normal(8, 8, 4), stride=2), (1, 8, 20)),
    "ConvTranspose2d": (fastconv.ConvTranspose2d(normal(8, 8, 3, 3), stride=2), (1, 8, 20, 7)),
    "ConvTranspose3d": (fastconv.ConvTranspose3d(normal(4, 4, 2, 3, 3), stride=2), (1, 4, 3, 20, 5)),
    "half": (fastconv.ConvTranspose2d(normal(8, 8, 3, 3, dtype="float16")), (1, 8, 20, 7)),
    "complex": (fastconv.ConvTranspose1d(normal(8, 8, 3, dtype="complex64")), (1, 8, 20)),
    "reflected": (fastconv.Conv2d(normal(8, 8, 3, 3), padding=1, padding_mode="reflect"), (1, 8, 20, 7)),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_prepared_form_explains_a_list_of_ints_and_refuses_what_is_none(name):
    op, shape = EXPLAINED[name]
    expected = repr(op.explain(shape))
    assert repr(op.explain(list(shape))) == expected
    assert repr(op.explain(tuple(map(np.int64, shape)))) == expected
    for wrong in ((1.0, *shape[1:]), [True, *shape[1:]], "shape", None, 3, [[1], *shape[1:]]):
        with pytest.raises(TypeError, match=r"^input_shape"):
            op.explain(wrong)
    with pytest.raises(ValueError, match=r"^input_shape"):
        op.explain(list(shape[2:]))
