"""A first call in another process: an engine that crashes there is reported, and never called here."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from types import TracebackType

from fastconv.bench.memory import start
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.engine import Engine, describe


class Probe:
    """A process that prepares and calls engines on demand, and is replaced when it dies.

    One process serves all engines, so that each package is imported once.

    Args:
        engines: By name; picklable.
        threads: Of every case; some packages read their number once.
        timeout: Seconds until a call is taken for one that never ends.
    """

    def __init__(self, engines: Mapping[str, Engine], threads: int, timeout: float = 120.0) -> None:
        self._engines = dict(engines)
        self._threads = threads
        self._timeout = timeout
        self._context = multiprocessing.get_context("spawn")
        self._connection: Connection | None = None
        self._start()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, self._engines, self._threads), daemon=True)
        start(self._process)
        theirs.close()

    def failure(self, name: str, case: Case) -> str | None:
        """Prepare an engine for a layer and call it, in the other process.

        Args:
            name: Of the engine.
            case: What to prepare it for.
        Returns:
            How it failed: the exception, or the signal that ended the process. None if it did not.
        """
        if self._connection is None:
            self._start()
        connection = self._connection
        assert connection is not None
        try:
            connection.send((name, case))
            if not connection.poll(self._timeout):
                self.close()
                return f"no answer within {self._timeout:g} s"
            answer: str | None = connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode or 0
            self.close()
            return f"crashed: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
        return answer

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _serve(connection: Connection, engines: Mapping[str, Engine], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the measuring process, which ends this one
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    for engine in engines.values():
        engine.set_environment(threads)
    while True:
        try:
            name, case = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_try(engines[name], case))


def _try(engine: Engine, case: Case) -> str | None:
    try:
        case.prepare(engine)(case.images)
    except Exception as error:  # whatever an engine throws is its failure, and a row in the table
        return describe(error)
    return None
