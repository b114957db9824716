"""The interpreter's edges: its end while calls run, signal handlers that do what they should not, sub-interpreters,
garbage collection, operators that change while in use. Each in a process of its own, which is to end by itself.
"""

import os
import signal
import sys
import textwrap

import pytest
from children import run, run_checked
from interruptible import interruptible

PRELUDE = """
    import os, signal, sys, threading, time, numpy as np, fastconv as fc
    def ones(*shape): return np.ones(shape, np.float32)
    x, w, words = ones(2, 32, 60, 60), ones(32, 32, 3, 3), np.ones((32, 32, 3, 3), np.int8)
    volume, taps = ones(2, 16, 8, 20, 20), ones(16, 16, 3, 3, 3)
    prepared = fc.Conv2d(w, algorithm="direct"), fc.ConvTranspose2d(w, stride=2), fc.ConvInteger("uint8", words)
    bytes_, y = np.ones((2, 32, 60, 60), np.uint8), ones(2, 32, 58, 58)
    calls = {
        "function": lambda: fc.conv2d(x, w, algorithm="direct"),
        "prepared": lambda: prepared[0](x),
        "transposed": lambda: prepared[1](x),
        "volume": lambda: fc.conv3d(volume, taps),
        "integers": lambda: prepared[2](bytes_),
        "gradient": lambda: fc.grad.conv2d_weight(x, w.shape, y),
        "packing": lambda: fc.Conv2d(ones(512, 512, 3, 3))(ones(1, 512, 3, 3)),
    }
"""


def program(code):
    return textwrap.dedent(PRELUDE) + textwrap.dedent(code)


@pytest.mark.parametrize(
    ("kind", "threads"),
    [
        ("function", 1),
        ("function", 2),
        ("prepared", 1),
        ("prepared", 2),
        ("transposed", 2),
        ("volume", 2),
        ("integers", 2),
        ("gradient", 2),
        ("packing", 1),
    ],
)
def test_a_daemon_thread_in_a_call_does_not_disturb_the_end(kind, threads):
    """It comes back for the GIL while the interpreter ends: the last object's end takes long enough for that."""
    code = """
        call, threads = calls[sys.argv[1]], int(sys.argv[2])
        fc.set_num_threads(threads)
        call()
        running = threading.Event()
        def work():
            while True:
                call()
                running.set()
        threading.Thread(target=work, daemon=True).start()
        running.wait()
        class Last:
            def __del__(self, sleep=time.sleep): sleep(0.5)
        last = Last()
        print("end")
    """
    result = run(program(code), kind, str(threads))
    assert (result.returncode, result.stdout, result.stderr) == (0, "end\n", "")


def test_calls_while_the_interpreter_ends():
    """Of a thread that is waited for, of exit handlers, and of objects that go last."""
    code = """
        import atexit
        fc.set_num_threads(2)
        expected = prepared[0](x)
        def check(who):
            os.write(1, f"{who} {np.array_equal(calls['function'](), expected)}\\n".encode())
        def work():
            time.sleep(0.2)
            for _ in range(5): calls["function"]()
            check("thread")
        class Last:
            def __del__(self, op=prepared[0], x=x, expected=expected, same=np.array_equal, write=os.write):
                write(1, f"object {same(op(x), expected)}\\n".encode())
        last = Last()
        atexit.register(check, "handler")
        threading.Thread(target=work).start()
        sys.exit(0)
    """
    assert run_checked(program(code)).splitlines() == ["thread True", "handler True", "object True"]


LONG = """
    fc.set_num_threads(int(sys.argv[1]))
    images, filters = ones(8, 512, 64, 64), ones(1024, 512, 3, 3)  # minutes
    whole = np.full((8, 1024, 62, 62), np.nan, np.float32)
    small = ones(1, 2, 6, 6), ones(2, 2, 3, 3)
    def long_call():
        fc.conv2d(images, filters, algorithm="reference", out=whole)
    def is_half_done():
        return bool(np.isnan(whole[-1]).any())
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("handled", ["fc.conv2d(*small)", "calls['function']()"], ids=["brief", "long"])
def test_ctrl_c_reaches_a_call_whose_handlers_convolve(handled, threads):
    """Brief calls and others of a handler leave the call that they interrupt to be asked again."""
    code = (
        program(LONG)
        + f"handled = lambda: {handled}\n"
        + textwrap.dedent("""
            seen = 0
            def handler(*_):
                global seen
                handled()
                seen += 1
                if seen == 1:
                    print("handled", flush=True)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
            try:
                long_call()
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
                print(is_half_done(), seen > 0, np.array_equal(calls["function"](), calls["prepared"]()))
        """)
    )
    command = [sys.executable, "-c", code, str(threads)]
    with interruptible(command) as process:
        assert process.stdout.readline() == "handled\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=300)
    assert (process.returncode, output, errors) == (0, "True True True\n", "")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_handler_raises_ends_the_call(threads):
    """Also what its own long call is interrupted by."""
    code = """
        def raises(*_):
            raise LookupError
        def calls_long(*_):
            signal.signal(signal.SIGALRM, raises)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            long_call()
        for handler in raises, calls_long:
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            try:
                long_call()
            except LookupError:
                print(is_half_done())
    """
    assert run_checked(program(LONG) + textwrap.dedent(code), str(threads)) == "True\nTrue"


@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "setitimer"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["function", "prepared", "volume", "integers", "gradient"])
def test_a_handler_may_fork(kind):
    """In the middle of a call on two threads; child and parent both end it, and the child convolves at once too."""
    code = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, since 3.12
        fc.set_num_threads(2)
        call, expected = calls[sys.argv[1]], calls[sys.argv[1]]()
        forked, in_child = [], True
        def handler(*_):
            global in_child
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(200)
                in_child = np.array_equal(call(), expected)
            forked.append(pid)
        signal.signal(signal.SIGALRM, handler)
        for _ in range(20):
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            asked = len(forked)
            while len(forked) == asked:
                same = np.array_equal(call(), expected)
            if 0 in forked:
                os._exit(0 if same and in_child else 1)
            assert same
            assert os.waitstatus_to_exitcode(os.waitpid(forked[-1], 0)[1]) == 0
        print(len(forked))
    """
    assert run_checked(program(code), kind) == "20"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork_while_the_pool_starts():
    """A thread makes the process's first call when another forks; in children, so that every round has a first call."""
    code = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        fc.set_num_threads(1)
        expected = calls["function"]()
        def status(child):
            pid = os.fork()
            if pid == 0:
                signal.alarm(200)
                os._exit(0 if child() else 1)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        def convolves():
            return np.array_equal(calls["function"](), expected)
        def first_call():
            fc.set_num_threads(8)
            thread = threading.Thread(target=convolves)
            thread.start()
            works = [status(convolves) for _ in range(3)]
            thread.join()
            return works == [0] * 3 and convolves()
        print([status(first_call) for _ in range(10)])
    """
    assert run_checked(program(code)) == str([0] * 10)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on addresses")
def test_exceptions_of_handlers_arrive_after_a_call_without_memory():
    """Brief calls are not asked about signals: a check that outlived its call would take what a handler raised."""
    code = """
        import collections, itertools, resource
        tiny, op = ones(1, 2, 6, 6), fc.Conv2d(ones(2, 2, 3, 3))
        op(tiny)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))
        try:
            fc.conv2d(ones(1, 8, 40, 40), ones(8, 8, 3, 3), algorithm="dense")  # a matrix of 470 MB
        except MemoryError:
            print("MemoryError")
        def handler(*_):
            raise LookupError
        signal.signal(signal.SIGALRM, handler)
        for _ in range(20):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.03)
                collections.deque(map(op, itertools.repeat(tiny, 200_000)), maxlen=0)
                time.sleep(5)
            except LookupError:
                print("LookupError")
    """
    assert run_checked(program(code)).split() == ["MemoryError"] + ["LookupError"] * 20


def test_sub_interpreters_are_refused_or_served():
    code = """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        source = (
            "try:\\n"
            "    import numpy as np, fastconv\\n"
            "    x = np.ones((2, 32, 60, 60), np.float32)\\n"
            "    assert fastconv.conv2d(x, np.ones((32, 32, 3, 3), np.float32)).shape == (2, 32, 58, 58)\\n"
            "except ImportError:\\n"
            "    pass  # what NumPy says\\n"
        )
        for _ in range(2):
            own = interpreters.create()
            failed = interpreters.run_string(own, source)
            assert failed is None, failed
            interpreters.destroy(own)
        print(calls["function"]().shape)
    """
    result = run(program(code))
    assert (result.returncode, result.stdout) == (0, "(2, 32, 58, 58)\n"), result.stderr


def test_garbage_collection_during_calls():
    """Objects whose end convolves, in the middle of the calls of others, by the same operator."""
    code = """
        import gc
        fc.set_num_threads(2)
        tiny = ones(1, 32, 8, 8)
        small, expected = prepared[0](tiny), {kind: call() for kind, call in calls.items() if kind != "packing"}
        wrong = ended = 0
        class Cycle:
            def __init__(self): self.own = self
            def __del__(self):
                global wrong, ended
                ended += 1
                wrong += not np.array_equal(prepared[0](tiny), small)
                prepared[0](ones(1, 32, 8 + ended % 40, 8))  # new plans, in place of those in use
        gc.set_threshold(1)
        def work():
            global wrong
            for _ in range(20):
                for kind, y in expected.items():
                    Cycle()
                    wrong += not np.array_equal(calls[kind](), y)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(ended > 100, wrong)
    """
    assert run_checked(program(code)) == "True 0"


def test_operators_that_change_while_others_use_them():
    """Initialised again, copied, pickled: every result is that of the old weights or of the new ones."""
    code = """
        import copy, pickle
        fc.set_num_threads(2)
        shapes = [(1, 32, 20 + n, 20) for n in range(20)]  # more than an operator keeps plans for
        inputs = [ones(*shape) for shape in shapes]
        op = fc.Conv2d(w, algorithm="direct")
        once = [op(x) for x in inputs]
        wrong = 0
        stop = threading.Event()
        def work(start):
            global wrong
            n = start
            while not stop.is_set():
                n = (n + 1) % len(inputs)
                y = op(inputs[n])
                wrong += not (np.array_equal(y, once[n]) or np.array_equal(y, 2 * once[n]))
        threads = [threading.Thread(target=work, args=(5 * n,)) for n in range(3)]
        for thread in threads: thread.start()
        for n in range(60):
            op.__init__(w * (1 + n % 2), algorithm="direct")
            for again in copy.copy(op), copy.deepcopy(op), pickle.loads(pickle.dumps(op)):
                y = again(inputs[0])
                wrong += not (np.array_equal(y, once[0]) or np.array_equal(y, 2 * once[0]))
        stop.set()
        for thread in threads: thread.join()
        print(wrong)
    """
    assert run_checked(program(code)) == "0"
