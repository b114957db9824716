"""Child processes that take Ctrl-C, however the tests themselves were started."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Any


def _heed_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def interruptible(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The running command, its standard output and error piped unless `options` of Popen say otherwise; killed at the
    end if it still runs.

    Whoever runs the tests in the background of a shell ignores SIGINT, children inherit that, and Python then leaves
    it ignored: so the child gets the default back before it becomes the command.
    """
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **{**piped, **options}, text=True, preexec_fn=_heed_sigint)
    with process:
        try:
            yield process
        finally:
            process.kill()
