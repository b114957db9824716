"""Hostile calls of every public function: none may crash, hang, or return something wrong in silence.

`python tests/fuzz.py --seconds 3600` runs for an hour, in processes of their own, and prints what it finds: a call that
raised anything but a TypeError, ValueError or MemoryError, or did not name the argument; that wrote to its inputs;
whose result is not the definition's, or differs with the number of threads; or that ended or stopped its process.
Memory is limited, so that what is too large is refused. test_fuzz.py runs it for a moment, and tests what was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROFILES = {"quick": 150, "long": 3000}
"""Examples for each process."""

CALLS = {"all": 0, "returned": 0, "compared": 0}
"""How many calls there were; that returned; and whose result the definition says."""

MEMORY = 3 * 2**30
SECONDS = 60
NAMED = re.compile(r"^[A-Za-z_]\w*(\[[^]]*\])*: ")


def described(value):
    import numpy as np

    if isinstance(value, np.ndarray):
        return f"<{type(value).__name__} {value.dtype} {value.shape} strides {value.strides}>"
    return repr(value)[:80]


def said(function, arguments):
    name = getattr(function, "__qualname__", str(function))
    inner = [cell.cell_contents.__name__ for cell in function.__closure__ or () if isinstance(cell.cell_contents, type)]
    text = ", ".join(f"{name}={described(value)}" for name, value in arguments.items())
    return f"{(inner or [name])[0]}({text})"


def compared(y, expected, arguments, arrays):
    """AssertionError if `y` is not the expected array."""
    import numpy as np

    expected, y = np.asarray(expected), np.asarray(y)
    assert y.shape == expected.shape, f"shape {y.shape}, expected {expected.shape}"
    if not all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 1e3 for a in arrays if a.dtype.kind in "fc"):
        return
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    if arrays and all(a.dtype.kind in "iu" for a in arrays):  # SciPy transforms them, and rounds by the largest
        scale *= max(1.0, *(float(np.abs(a.astype(float)).max(initial=0)) for a in arrays))
        if expected.dtype.kind in "iu" and scale * arrays[-1].size > np.iinfo(expected.dtype).max:
            return  # sums that it does not hold become what C makes of them
    kind = y.dtype.name
    inexact = [a.dtype for a in (y, *arrays) if a.dtype.kind in "fc"]
    epsilon = max(float(np.finfo(dtype).eps) for dtype in inexact) if inexact else 1e-5
    fast = arguments.get("accuracy") == "fast"
    bound = (16 if kind == "float16" else 64) * epsilon * (20 if fast else 8 if kind == "float32" else 1) * scale
    finite = np.isfinite(expected)  # else what surrounds the array is not
    worst = float(np.abs(y.astype(expected.dtype) - expected)[finite].max(initial=0))
    assert worst <= bound, f"off by {worst:.3g}, largest value {scale:.3g}"


def check(function, arguments, expected, threads):
    """One call by the contract; AssertionError if it does not keep it."""
    import numpy as np

    import fastconv

    CALLS["all"] += 1
    arrays = [a for a in arguments.values() if type(a) is np.ndarray and 0 < a.size < 2**16]
    before = [a.copy() for a in arrays]
    try:
        y = function(**arguments)
    except MemoryError:
        return
    except (TypeError, ValueError) as error:
        of_onnx = getattr(function, "__module__", "") == "fastconv.onnx"  # whose evaluator has looked at the model
        if not of_onnx and not NAMED.match(str(error)):
            raise AssertionError(f"{type(error).__name__} names no argument: {error}") from error
        return
    finally:
        for a, b in zip(arrays, before, strict=True):
            assert a.tobytes() == b.tobytes(), "an input was written to"
    right = expected(arguments)
    CALLS["returned"] += 1
    CALLS["compared"] += right is not None
    if right is not None:
        compared(y, right, arguments, arrays)
    if threads and isinstance(y, np.ndarray):
        with fastconv.num_threads(threads):
            again = function(**arguments)
        assert np.array_equal(again, y, equal_nan=y.dtype.kind in "fc"), f"other bits with {threads} threads"


def worker(seed, examples, note):
    """Try calls in this process; the last one is written to the file `note` before it is made."""
    import warnings

    import hypothesis
    from fuzz_calls import layers, spoilt
    from fuzz_others import others
    from hypothesis import strategies as st

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    last = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(st.data())
    def hostile(data):
        function, arguments, expected = data.draw(st.one_of(layers(), layers(), others()))
        arguments = spoilt(data.draw, arguments)
        threads = data.draw(st.sampled_from([0, 0, 0, 2, 5, 32]))
        text = said(function, arguments)
        os.ftruncate(last, 0)
        os.pwrite(last, text.encode("utf-8", "backslashreplace"), 0)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            check(function, arguments, expected, threads)
        except Exception as error:
            error.add_note(text) if hasattr(error, "add_note") else None
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()

    hostile()
    print(json.dumps(CALLS))


def run(seed, examples):
    """What a process found, "" if nothing; counts of its calls."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "last"
        command = [sys.executable, "-X", "faulthandler", __file__, "--worker", str(seed), str(examples), str(note)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0:
            return "", json.loads(done.stdout)
        last = note.read_text(errors="replace") if note.exists() else "before the first call"
        return f"seed {seed}, exit code {done.returncode}, last call:\n{last}\n{done.stderr[-20000:]}", {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600, help="how long (default: an hour)")
    parser.add_argument("--seed", type=int, default=0, help="of the first process")
    parser.add_argument("--profile", choices=PROFILES, default="long")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        seed, examples, note = options.worker
        worker(int(seed), int(examples), note)
        return 0
    emit = functools.partial(print, flush=True)
    end, found, seed = time.monotonic() + options.seconds, 0, options.seed
    total = dict.fromkeys(CALLS, 0)
    while time.monotonic() < end:
        finding, counts = run(seed, PROFILES[options.profile])
        total = {name: total[name] + counts.get(name, 0) for name in total}
        if finding:
            found += 1
            emit(finding)
        seed += 1
    emit(f"processes: {seed - options.seed}, findings: {found}, calls: {total}")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
