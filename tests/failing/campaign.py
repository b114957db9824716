"""Every allocation of the core refused once, in many kinds of calls: each ends in MemoryError or in the right result,
and so does the same call right afterwards.

    python tests/failing/campaign.py                    # all of them, some minutes; --help for parts
    python tests/failing/campaign.py --lasting          # none is granted from the n-th on
    python tests/failing/campaign.py --length-error     # std::length_error in place of std::bad_alloc

The allocations are refused by a small library (allocations.cpp), which the C++ compiler makes and which is preloaded
into a process of its own. That process imports everything once and then forks for every allocation.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIZES = ("inline", "threads")
GOOD = ("right", "MemoryError")
# How much memory: a number, or that it is little; NumPy's own words for arrays.
SAID = re.compile(r"expected (\d+ bytes|a few bytes|memory for a list)|Unable to allocate")


def compiler() -> str | None:
    return next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)


def build(folder: Path) -> Path:
    """The library that refuses."""
    library, cxx = folder / "allocations.so", compiler()
    assert cxx is not None, "a C++ compiler is needed"
    command = [cxx, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", str(library), str(HERE / "allocations.cpp"), "-ldl"]
    subprocess.run(command, check=True)
    return library


def in_child(work: Callable[[], Any], seconds: int = 60) -> Any:
    """What work() returns in a forked process; "signal N" or "status N" if it returns nothing."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(seconds)
            os.close(reads)
            text = pickle.dumps(work())
            with os.fdopen(writes, "wb") as file:
                file.write(text)
            os._exit(0)
        finally:
            os._exit(70)
    os.close(writes)
    with os.fdopen(reads, "rb") as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    if status:
        return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
    return pickle.loads(text)


def same(a: Any, b: Any) -> bool:
    import numpy as np

    if not isinstance(a, np.ndarray):
        return bool(a == b)
    return bool(a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=True))


class Campaign:
    """In the process with the library."""

    def __init__(self, lasting: bool, length_error: bool, warm: bool) -> None:
        self._library = ctypes.CDLL(None)
        self._library.fail_disarm.restype = ctypes.c_long
        self._lasting, self._length_error, self._warm = lasting, length_error, warm

    def _arm(self, first: int) -> None:
        last = 2**62 if self._lasting and first >= 0 else first
        assert self._library.fail_arm(ctypes.c_long(first), ctypes.c_long(last), int(self._length_error)), "no core"

    def count(self, call: Callable[[], Any]) -> tuple[int, Any]:
        """How many allocations a call makes, and its result."""
        if self._warm:
            call()
        self._arm(-1)
        y = call()
        return self._library.fail_disarm(), y

    def refuse(self, n: int, call: Callable[[], Any], wanted: Any) -> str:
        if self._warm:
            call()
        self._arm(n)
        try:
            y = call()
            end = "right"
        except MemoryError as error:
            end = "MemoryError" if SAID.match(str(error)) else f"MemoryError({error})"
        except BaseException as error:
            end = f"{type(error).__name__}: {error}"
        refused = self._library.fail_disarm() > n
        if end == "right" and not same(y, wanted):
            end = "wrong"
        if not same(call(), wanted):
            end += ", and then wrong"
        return end if refused else "not refused"


def sample(count: int, most: int) -> list[int]:
    """All, or so many of them: the last, and others at equal distances, each time the same."""
    return list(range(count)) if count <= most else sorted({*range(0, count, -(-count // most)), count - 1})


def serve(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import kinds

    import fastconv

    campaign = Campaign(options.lasting, options.length_error, options.warm)
    for size in options.sizes:
        fastconv.set_num_threads(2 if size == "threads" else 1)
        for name, call in kinds.kinds(size).items():
            if options.only and not re.search(options.only, name):
                continue
            counted = in_child(lambda call=call: campaign.count(call))
            if isinstance(counted, str):
                yield {"kind": name, "size": size, "count": 0, "ends": {f"without refusal: {counted}": 1}}
                continue
            count, wanted = counted
            ends: dict[str, int] = collections.Counter()
            for n in sample(count, options.most):
                ends[in_child(lambda n=n, call=call, wanted=wanted: campaign.refuse(n, call, wanted))] += 1
            yield {"kind": name, "size": size, "count": count, "ends": dict(ends)}


def run(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What each kind of call came to, in a process with the library."""
    runtime = ("ASAN_OPTIONS", "LD_PRELOAD")
    environment = {name: value for name, value in os.environ.items() if name not in runtime}
    environment["LD_PRELOAD"] = str(build(folder))
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, str(HERE / "campaign.py"), "--serve", *arguments]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--most", type=int, default=10**9, help="allocations of a kind of call, of all sizes alike")
    options.add_argument("--only", help="a regular expression of kinds")
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    options.add_argument("--warm", action="store_true", help="in the second of two calls")
    options.add_argument("--lasting", action="store_true")
    options.add_argument("--length-error", action="store_true")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return options


def main() -> int:
    options = parser().parse_args()
    if options.serve:
        for row in serve(options):
            print(json.dumps(row), flush=True)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = run(Path(folder), *sys.argv[1:])
    bad = 0
    for row in rows:
        wrong = {end: n for end, n in row["ends"].items() if end not in GOOD}
        bad += sum(wrong.values())
        print(f"{row['kind']:<32} {row['size']:<8} {row['count']:>4} allocations  {row['ends']}{' <---' * bool(wrong)}")
    refused = sum(sum(row["ends"].values()) for row in rows)
    kinds_of_calls = len({row["kind"] for row in rows})
    print(f"{kinds_of_calls} kinds of calls; {refused - bad} of {refused} ended in MemoryError or in the right result")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
