"""Calls whose memory lies against pages without access: a read or write outside of it ends the process.

Operands and outputs lie in arenas of this file, packed weights and workspace where guarded_memory.cpp puts them; each
begins behind a page without access or ends before one, as the call's seed has it. What nobody has set is NaN, so that a
read of it shows in the result, which is compared with float64. `python tests/guarded.py --calls 50000` runs as many,
in processes of their own, and prints what it finds; test_guarded.py runs a few, and what was found.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PAGE = mmap.PAGESIZE
BATCH = 500
SECONDS = 300


class Arena:
    """Pages between two without access, for one array at a time."""

    def __init__(self, pages=2048):
        libc = ctypes.CDLL(None, use_errno=True)
        self.memory = mmap.mmap(-1, (pages + 2) * PAGE)
        self.all = np.frombuffer(self.memory, np.uint8)
        for start in (0, (pages + 1) * PAGE):
            address = ctypes.c_void_p(self.all.ctypes.data + start)
            assert libc.mprotect(address, ctypes.c_size_t(PAGE), 0) == 0, os.strerror(ctypes.get_errno())
        self.inner = self.all[PAGE:-PAGE]
        self.outside = []

    def empty(self, shape, dtype, at_end):
        """An array that ends or begins at a page without access; it, and what is around it, has all bits set."""
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        start = len(self.inner) - nbytes if at_end else 0
        self.inner[max(start - PAGE, 0) : start + nbytes + PAGE] = 255
        self.outside = [self.inner[max(start - PAGE, 0) : start], self.inner[start + nbytes : start + nbytes + PAGE]]
        return self.inner[start : start + nbytes].view(dtype).reshape(shape)

    def put(self, a, at_end):
        """A copy of an array there."""
        copy = self.empty(a.shape, a.dtype, at_end)
        copy[...] = a
        return copy

    def is_kept(self):
        """Whether nothing was written around the array."""
        return all((part == 255).all() for part in self.outside)


def library(folder):
    """guarded_memory.cpp, compiled: its path."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    assert compiler, "a C++ compiler is needed"
    path = Path(folder) / "guarded_memory.so"
    source = Path(__file__).with_name("guarded_memory.cpp")
    command = [compiler, "-std=c++20", "-O2", "-Wall", "-shared", "-fPIC", "-o", path, source]
    subprocess.run(command, check=True, timeout=120)
    return path


def worker(first, count, note):
    """Make calls, seed by seed; what is wrong, and which calls there were, goes to standard output."""
    import guarded_calls

    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    last = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    arenas = guarded_calls.arenas(Arena)
    kinds, wrong = {}, []
    for seed in range(first, first + count):
        call = guarded_calls.draw(seed, arenas)
        shim.guarded_ends(call.at_end)
        os.ftruncate(last, 0)
        os.pwrite(last, f"{seed} {call}".encode(), 0)
        try:
            kind = call.run()
        except Exception as error:
            wrong.append(f"seed {seed}: {type(error).__name__}: {error}: {call}")
        else:
            kinds[kind] = kinds.get(kind, 0) + 1
    print(json.dumps({"kinds": kinds, "wrong": wrong, "guarded": shim.guarded_count()}))


def run(first, count, shim):
    """(findings, calls by kind, guarded allocations) of calls with seeds from `first` on."""
    findings, kinds, guarded, end = [], {}, 0, first + count
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "last"
        while first < end:
            size = min(BATCH, end - first)
            command = [sys.executable, "-X", "faulthandler", __file__, "--worker", str(first), str(size), str(note)]
            environment = os.environ | {"LD_PRELOAD": str(shim)}
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            if done.returncode == 0:
                said = json.loads(done.stdout.splitlines()[-1])
                findings += said["wrong"]
                kinds = {kind: kinds.get(kind, 0) + said["kinds"].get(kind, 0) for kind in kinds | said["kinds"]}
                guarded += said["guarded"]
                first += size
            else:  # that call ended the process: go on behind it
                seed, _, call = (note.read_text() if note.exists() else f"{first} nothing").partition(" ")
                findings.append(f"seed {seed}: exit code {done.returncode}: {call}\n{done.stderr[-2000:]}")
                note.unlink(missing_ok=True)
                first = max(first, int(seed)) + 1
    return findings, kinds, guarded


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        first, count, note = options.worker
        return worker(int(first), int(count), note)
    with tempfile.TemporaryDirectory() as folder:
        shim = library(folder)
        found = 0
        for first in range(options.first, options.first + options.calls, BATCH):
            findings, kinds, guarded = run(first, min(BATCH, options.first + options.calls - first), shim)
            found += len(findings)
            print("\n".join([*findings, f"{first}: {guarded} guarded allocations, {kinds}"]), flush=True)
    print(f"{options.calls} calls, {found} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
