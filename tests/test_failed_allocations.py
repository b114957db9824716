"""Memory that runs out: MemoryError, which says how much was asked for, or the right result; the next call is right.

Here a sample of the allocations of every kind of call; `python tests/failing/campaign.py` refuses them all.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest
from failing import campaign

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or campaign.compiler() is None,
    reason="a library is made by the C++ compiler and preloaded",
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return campaign.run(tmp_path_factory.mktemp("library"), "--most", "5")


def bad_ends(rows):
    return {
        f"{row['kind']}, {row['size']}": {end: n for end, n in row["ends"].items() if end not in campaign.GOOD}
        for row in rows
        if set(row["ends"]) - set(campaign.GOOD)
    }


def test_an_allocation_that_fails_ends_no_process_and_spoils_no_result(rows):
    assert not bad_ends(rows)


def test_the_campaign_refuses_something_in_every_kind_of_call(rows):
    assert len({row["kind"] for row in rows}) >= 30
    assert {row["size"] for row in rows} == set(campaign.SIZES)
    assert all(row["ends"].get("MemoryError", 0) >= 1 for row in rows if row["size"] == "inline"), rows
    assert sum(sum(row["ends"].values()) for row in rows) >= 500


@pytest.mark.parametrize("way", ["--lasting", "--length-error", "--warm"])
def test_so_do_allocations_refused_in_other_ways(way, tmp_path):
    """None granted from one on; std::length_error, which is no ValueError; in calls like ones made before."""
    rows = campaign.run(tmp_path, way, "--most", "8", "--only", "^(conv2d|Conv2d|ConvTranspose2d|conv3d|conv_integer)$")
    assert len(rows) == 10
    assert not bad_ends(rows)


def test_a_memory_error_says_how_many_bytes_were_asked_for():
    code = """
        import resource, numpy as np, fastconv
        from fastconv import _core
        x, w = np.ones((1, 8, 32, 32), np.float32), np.ones((8, 8, 3, 3), np.float32)
        small = fastconv.conv2d(x, w, algorithm="direct")
        problem = _core.Problem("float32", *x.shape, 8, 3, 3)
        needed = _core.packed_bytes("dense", problem)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + needed // 2, used + needed // 2))
        for call in (
            lambda: fastconv.conv2d(x, w, algorithm="dense"),
            lambda: fastconv.Conv2d(w, algorithm="dense")(x),
            lambda: _core.Plan(problem, "dense", w),
        ):
            try:
                call()
            except MemoryError as error:
                print(needed, error)
            assert np.array_equal(fastconv.conv2d(x, w, algorithm="direct"), small)
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    ended = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120)
    lines = ended.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        needed, asked = map(int, re.fullmatch(r"(\d+) expected (\d+) bytes of memory, got none", line).groups())
        assert needed <= asked <= 1.1 * needed
