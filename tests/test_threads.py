"""Threads: how many, the same bits for any number, many callers, fork, spawn, Ctrl-C."""

import multiprocessing
import os
import signal
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from children import run, run_checked
from interruptible import interruptible

import fastconv

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 32, 40, 40)).astype(np.float32)
W = rng.standard_normal((32, 32, 3, 3)).astype(np.float32)


def test_get_and_set():
    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(3)
        assert fastconv.get_num_threads() == 3
        fastconv.set_num_threads(np.int64(256))
        assert fastconv.get_num_threads() == 256
    finally:
        fastconv.set_num_threads(before)


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, "n: expected at least 1, got 0"),
        (257, ValueError, "n: expected at most 256, got 257"),
        (2.0, TypeError, "n: expected an int, got 2.0"),
        (True, TypeError, "n: expected an int, got True"),
        (None, TypeError, "n: expected an int, got None"),
    ],
)
def test_bad_numbers(n, error, message):
    before = fastconv.get_num_threads()
    with pytest.raises(error, match=f"^{message}$"):
        fastconv.set_num_threads(n)
    with pytest.raises(error, match=f"^{message}$"), fastconv.num_threads(n):
        pass
    assert fastconv.get_num_threads() == before


def test_context_restores_also_after_an_exception():
    before = fastconv.get_num_threads()
    with fastconv.num_threads(before + 1):
        assert fastconv.get_num_threads() == before + 1
        with pytest.raises(KeyError), fastconv.num_threads(1):
            raise KeyError(fastconv.get_num_threads())
        assert fastconv.get_num_threads() == before + 1
    assert fastconv.get_num_threads() == before


COUNT = "import fastconv; print(fastconv.get_num_threads())"


@pytest.mark.parametrize(
    ("env", "n"),
    [
        ({"FASTCONV_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "5"}, "5"),
        ({"FASTCONV_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, "3"),
    ],
)
def test_environment(monkeypatch, env, n):
    for name in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert run_checked(COUNT, env=env) == n


@pytest.mark.parametrize("wanted", ["abc", "0", "-1", "2.5", "99999999999999", "4 4", "257"])
def test_a_number_of_threads_that_is_none_is_warned_of(monkeypatch, wanted):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    shown = run(COUNT, env={"FASTCONV_NUM_THREADS": wanted})
    assert shown.returncode == 0
    used = "256" if wanted == "257" else "3"
    assert shown.stdout.strip() == used
    expected = f"RuntimeWarning: FASTCONV_NUM_THREADS: expected a number from 1 to 256, got {wanted!r}; using {used}"
    assert expected in shown.stderr


@pytest.mark.parametrize(("wanted", "used"), [("2", "2"), (" 7 ", "7"), ("4,2", "4"), ("256", "256"), ("", "3")])
def test_a_number_of_threads_is_not_warned_of(monkeypatch, wanted, used):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    shown = run(COUNT, env={"FASTCONV_NUM_THREADS": wanted})
    assert (shown.stdout.strip(), shown.stderr) == (used, "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity(monkeypatch):
    for name in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert run_checked("import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n" + COUNT) == "1"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_threads_start_at_first_use_not_at_import_nor_for_tiny_calls():
    code = """
        import os, numpy as np
        def count(): return len(os.listdir("/proc/self/task"))
        alone = count()
        import fastconv
        fastconv.set_num_threads(3)
        imported = count()
        tiny = fastconv.Conv2d(np.ones((8, 8, 3, 3), np.float32))
        tiny(np.ones((1, 8, 8, 8), np.float32))
        fastconv.conv2d(np.ones((1, 8, 8, 8), np.float32), np.ones((8, 8, 3, 3), np.float32))
        small = count()
        x, w = np.ones((1, 32, 64, 64), np.float32), np.ones((32, 32, 3, 3), np.float32)
        fastconv.conv2d(x, w)
        print(imported - alone, small - alone, count() - alone)
    """
    assert run_checked(code) == "0 0 2"


@pytest.mark.parametrize("algorithm", fastconv.algorithms())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_threads(algorithm, dtype):
    options, x, w = {}, X, W
    if algorithm == "pointwise":
        w = W[:, :, :1, :1]
    elif algorithm == "matvec":
        x, w = X[:, :, :9, :9], np.tile(W, (9, 1, 3, 3))
    elif algorithm == "depthwise":
        w, options = W[:, :1], {"groups": 32}
    elif algorithm == "dense":
        x, w = X[:, :8, :16, :16], W[:, :8]
    x, w = np.ascontiguousarray(x, dtype), np.ascontiguousarray(w, dtype)
    with fastconv.num_threads(1):
        expected = fastconv.conv2d(x, w, **options, algorithm=algorithm, activation="silu").tobytes()
    for n in (2, 3, 8, 61):
        with fastconv.num_threads(n):
            for _ in range(3):
                assert fastconv.conv2d(x, w, **options, algorithm=algorithm, activation="silu").tobytes() == expected


def test_32_callers_at_once():
    """Each with inputs of its own, through one operator, through conv2d, and while others change the thread count."""
    inputs = [np.roll(X, n, axis=-1)[:, :, : 20 + n % 5].copy() for n in range(32)]
    op = fastconv.Conv2d(W, padding=1)
    expected = [op(x).tobytes() for x in inputs]
    op = fastconv.Conv2d(W, padding=1)  # no plans yet: they are made in the race
    barrier = threading.Barrier(32)

    def work(n):
        barrier.wait()
        out = np.empty((2, 32, inputs[n].shape[2], 40), np.float32)
        same = True
        for _ in range(5):
            same &= op(inputs[n]).tobytes() == expected[n]
            same &= op(inputs[n], out=out) is out and out.tobytes() == expected[n]
            same &= fastconv.conv2d(inputs[n], W, padding=1, algorithm="winograd").tobytes() == expected[n]
        return same

    assert fastconv.explain(inputs[0].shape, W.shape, padding=1, prepared=True).chosen == "winograd"
    before = fastconv.get_num_threads()
    fastconv.set_num_threads(4)  # of the process: the pool's threads are no part of a context of this one
    try:
        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(work, range(32)))
    finally:
        fastconv.set_num_threads(before)


def test_the_interpreter_runs_on_while_a_call_computes():
    op = fastconv.Conv2d(rng.standard_normal((64, 64, 7, 7)).astype(np.float32), algorithm="reference")
    x = rng.standard_normal((1, 64, 70, 70)).astype(np.float32)
    thread = threading.Thread(target=op, args=(x,))
    turns = 0
    thread.start()
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    # Held, the interpreter would turn once, before or after the call: 822 million multiply-adds, one by one.
    assert turns > 10


def use(queue):
    queue.put(fastconv.conv2d(X, W).tobytes())


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize(
    "method", [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()]
)
def test_processes_started_after_use(method):
    context = multiprocessing.get_context(method)
    with fastconv.num_threads(4):
        expected = fastconv.conv2d(X, W).tobytes()  # the pool runs by now
        queue = context.SimpleQueue()
        children = [context.Process(target=use, args=(queue,), daemon=True) for _ in range(2)]
        for child in children:
            child.start()
        for _ in children:
            assert queue.get() == expected
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        assert fastconv.conv2d(X, W).tobytes() == expected  # and the parent's still does


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork_while_other_threads_compute():
    code = """
        import os, sys, threading, numpy as np, fastconv
        x, w = np.ones((2, 32, 40, 40), np.float32), np.ones((32, 32, 3, 3), np.float32)
        fastconv.set_num_threads(4)
        expected = fastconv.conv2d(x, w).tobytes()
        stop = threading.Event()
        def work():
            while not stop.is_set():
                fastconv.conv2d(x, w)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads: t.start()
        codes = []
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if fastconv.conv2d(x, w).tobytes() == expected else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        stop.set()
        for t in threads: t.join()
        print(codes)
    """
    assert run_checked(code) == str([0] * 10)


# Each call takes more than 20 s on two cores of the fastest kind there is.
LONG_CALLS = {
    "reference": ((8, 512, 64, 64), (1024, 512, 3, 3)),
    "direct": ((32, 128, 96, 96), (128, 128, 31, 31)),
}


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent")
@pytest.mark.parametrize("algorithm", LONG_CALLS)
@pytest.mark.parametrize("way", ["conv2d", "Conv2d"])
def test_ctrl_c(algorithm, way):
    code = """
        import sys, time, numpy as np, fastconv
        algorithm, way, x_shape, w_shape = sys.argv[1], sys.argv[2], eval(sys.argv[3]), eval(sys.argv[4])
        x, w = np.ones(x_shape, np.float32), np.ones(w_shape, np.float32)
        small = fastconv.conv2d(np.ones((1, 32, 40, 40), np.float32), np.ones((32, 32, 3, 3), np.float32))
        op = fastconv.Conv2d(w, padding="same", algorithm=algorithm) if way == "Conv2d" else None
        y = np.empty((x_shape[0], w_shape[0], *x_shape[2:]), np.float32)
        if op: op._prepare(op._recipe, x.shape)
        print("started", flush=True)
        start = time.perf_counter()
        try:
            op(x, out=y) if op else fastconv.conv2d(x, w, padding="same", algorithm=algorithm, out=y)
        except KeyboardInterrupt:
            print(f"interrupted {time.perf_counter() - start}", flush=True)
        else:
            print("finished", flush=True)
        for _ in range(3):
            again = fastconv.conv2d(np.ones((1, 32, 40, 40), np.float32), np.ones((32, 32, 3, 3), np.float32))
            assert np.array_equal(again, small)
        print("works")
    """
    x_shape, w_shape = LONG_CALLS[algorithm]
    command = [sys.executable, "-c", textwrap.dedent(code), algorithm, way, str(x_shape), str(w_shape)]
    with interruptible(command) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    first, last = output.splitlines()
    assert first.startswith("interrupted "), output
    assert float(first.split()[1]) < 6
    assert last == "works"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
def test_a_signal_handler_may_itself_convolve():
    """It runs between two tasks of the call that it interrupts, and must not use that call's workspace."""
    x = rng.standard_normal((4, 64, 112, 112)).astype(np.float32)
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    small = fastconv.conv2d(X, W, algorithm="im2col")
    op = fastconv.Conv2d(w, padding=3, algorithm="im2col")
    expected, calls = op(x), []

    def handler(signum, frame):
        calls.append(np.array_equal(fastconv.conv2d(X, W, algorithm="im2col"), small))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(50):
            signal.setitimer(signal.ITIMER_REAL, 0.005)
            assert np.array_equal(op(x), expected)
            if calls:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls
    assert all(calls)


def test_import_takes_little_more_than_numpy():
    code = """
        import sys, numpy
        before = set(sys.modules)
        import fastconv
        print(*sorted(m.split(".")[0] for m in set(sys.modules) - before))
    """
    new = set(run_checked(code).split())
    assert new <= {"fastconv", "numpy"} | set(sys.stdlib_module_names)
    heavy = {"importlib", "multiprocessing", "concurrent", "asyncio", "unittest", "json", "matplotlib", "rich", "scipy"}
    assert not new & heavy
