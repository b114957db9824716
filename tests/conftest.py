"""What holds for all tests: the summary says which kernels of the build no test has run, for want of a CPU."""

from __future__ import annotations

import pytest
from instruction_sets import Kernels


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    kernels = Kernels.here()
    for line in kernels.lines():
        terminalreporter.write_line(line, yellow=bool(kernels.left_out), bold=bool(kernels.left_out))
