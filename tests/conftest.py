"""What holds for all tests: the suite on two workers, and what its summary says of kernels that did not run."""

from __future__ import annotations

import pytest
from instruction_sets import Kernels


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite runs in two processes, a file in one of them; what is named on the command line, in this one.

    Files keep their order: the builds of tests/cpp take longest and have to begin first.
    """
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not hasattr(config, "workerinput")
    watched = config.option.usepdb or config.option.collectonly or config.option.capture == "no"
    if whole and not watched and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses = 2
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False
        config.option.benchmark_disable = True  # as pytest-benchmark does by itself, with a warning


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    kernels = Kernels.here()
    for line in kernels.lines():
        terminalreporter.write_line(line, yellow=bool(kernels.left_out), bold=bool(kernels.left_out))
