"""A moment of guarded.py: calls whose memory lies against pages without access; and that it finds what is wrong."""

import platform
import re

import guarded
import guarded_calls
import numpy as np
import pytest

import fastconv

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="the preloaded library is Linux's")

CALLS = 2000


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return guarded.library(tmp_path_factory.mktemp("guarded"))


def test_nothing_is_read_or_written_outside_of_operands_and_workspace(shim):
    findings, kinds, allocations = guarded.run(0, CALLS, shim)
    assert findings == []
    assert sum(kinds.values()) == CALLS
    others = {"auto", "bytes", "windows", "gradient by input", "gradient by weight"}
    assert set(kinds) == {*fastconv.algorithms(), *others}, "every algorithm ran under its name"
    assert min(kinds.values()) >= 10
    assert allocations > CALLS / 2, "packed weights and workspace were among pages without access"


def test_arenas_end_and_begin_at_pages_without_access():
    arena = guarded.Arena(2)
    for at_end in (False, True):
        a = arena.empty((3, 5), "f4", at_end)
        assert np.isnan(a).all()
        a[...] = 1
        assert arena.is_kept()
        address, edge = a.ctypes.data, arena.inner.ctypes.data
        assert address + a.nbytes == edge + 2 * guarded.PAGE if at_end else address == edge
    arena.inner[: guarded.PAGE + 1] = 0
    assert not arena.is_kept()


CRASHING = """
import ctypes, guarded, numpy
for at_end in (True, False):
    arena = guarded.Arena(1)
    a = arena.empty((4,), "f4", at_end)
    address = a.ctypes.data + (a.nbytes if at_end else -1)
    if at_end == {at_end}:
        ctypes.string_at(address, 1)
"""


def faulty(monkeypatch, tmp_path, text):
    """guarded.run on calls of a script."""
    script = tmp_path / "faulty.py"
    folder = str(guarded.Path(guarded.__file__).parent)
    script.write_text(f"import sys\nsys.path.insert(0, {folder!r})\nopen(sys.argv[4], 'w').write('7 that')\n{text}")
    monkeypatch.setattr(guarded, "__file__", str(script))


@pytest.mark.parametrize("at_end", [True, False])
def test_a_call_that_looks_over_the_edge_is_reported_with_its_seed(at_end, monkeypatch, tmp_path, shim):
    faulty(monkeypatch, tmp_path, CRASHING.format(at_end=at_end))
    findings, kinds, _ = guarded.run(7, 1, shim)
    assert re.match(r"seed 7: exit code -(11|7): that\n", findings[0])
    assert kinds == {}


def test_what_is_written_behind_packed_weights_is_found(monkeypatch, tmp_path, shim):
    """By C++ memory with an alignment, asked for and given back through the preloaded library."""
    text = """
import ctypes, os
shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
new, delete = shim._ZnwmSt11align_val_t, shim._ZdlPvSt11align_val_t
new.restype, new.argtypes, delete.argtypes = ctypes.c_void_p, (ctypes.c_size_t,) * 2, (ctypes.c_void_p, ctypes.c_size_t)
for at_end in (0, 1):
    shim.guarded_ends(at_end)
    data = new(100, 64)
    assert ctypes.string_at(data, 100) == b"\\xff" * 100
    ctypes.memset(data, 0, 100)
    delete(data, 64)
    data = new(100, 64)
    ctypes.memset(data, 0, 101)
    print("so far", flush=True)
    delete(data, 64)
"""
    faulty(monkeypatch, tmp_path, text)
    findings, _, _ = guarded.run(7, 1, shim)
    assert re.match(r"seed 7: exit code -6: that\nguarded memory: byte 100 of 100 was written to\n", findings[0])


def test_uninitialised_results_and_wrong_ones_are_found():
    call = guarded_calls.draw(0, guarded_calls.arenas(lambda: guarded.Arena(1)))
    call.dtype = "f4"
    right = np.ones((2, 3))
    call.compare(right.astype("f4"), right, 1)
    for wrong in (np.nan, 1.001):
        with pytest.raises(AssertionError, match="off by"):
            call.compare(np.where(np.eye(2, 3) > 0, wrong, right).astype("f4"), right, 1)
