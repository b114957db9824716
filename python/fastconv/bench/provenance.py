"""The record of where data came from."""

from __future__ import annotations

import datetime
import platform
import sys
from typing import Any

import numpy as np

from fastconv import _core
from fastconv.bench.texts import path_text


def provenance() -> dict[str, Any]:
    """What produced the data: version, machine, instruction set, threads, command line and time."""
    cpu = _core.cpu_info()
    return {
        "fastconv_version": _core.build_info()["version"],
        "compiler": _core.build_info()["compiler"],
        "cpu": cpu["brand"],
        "usable_cpus": cpu["usable_cpus"],
        "isa": _core.get_isa(),
        "threads": _core.get_num_threads(),
        "python_version": platform.python_version(),
        "numpy_version": np.__version__,
        "platform": platform.platform(),
        "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "argv": [path_text(argument) for argument in sys.argv[1:]],
    }
