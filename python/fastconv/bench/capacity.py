"""How much memory this process may still take, to refuse what does not fit before any work."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_CGROUPS = (  # limit, use, and what of it are files that can be forgotten: of version 2, and of version 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "inactive_file"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def available_memory() -> int:
    """Bytes: the least of what the machine has, what its container may use, and what the process was allowed."""
    return max(0, min([sys.maxsize, *_limits()]))


def _limits() -> list[int]:
    found = []
    with suppress(OSError, ValueError, AttributeError):  # not every system knows them
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError, KeyError):
        found.append(_kib("/proc/meminfo", "MemAvailable"))
    for limit, use, files in _CGROUPS:
        with suppress(OSError, ValueError, KeyError):  # "max" is no number
            most, used = int(Path(limit).read_text()), int(Path(use).read_text())
            kept = dict(line.split() for line in Path(use).with_name("memory.stat").read_text().splitlines())
            found.append(most - used + int(kept[files]))
    with suppress(ImportError, OSError, ValueError, KeyError):
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            found.append(soft - _kib("/proc/self/status", "VmSize"))
    return found


def _kib(path: str, name: str) -> int:
    """Bytes that a line such as "MemAvailable: 1234 kB" of a file in /proc says."""
    fields = dict(line.split(":", 1) for line in Path(path).read_text().splitlines() if ":" in line)
    return int(fields[name].split()[0]) * 1024
