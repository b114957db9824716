"""Peak memory of an engine on a layer, in a fresh process: what it takes beside images, weights and outputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fastconv import _core
from fastconv.bench.compare import small_like
from fastconv.bench.memory import measure_growth
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.engine import Engine, in_layout
from fastconv.isa import use_isa

_SECONDS = 0.05
"""Of calls: in a single short one a second thread may come too late to take its share of the workspace."""


def peak_memory(engine: Engine, case: Case) -> int | None:
    """Bytes by which a fresh process grows at most while the weights are prepared and calls run.

    Args:
        engine: Picklable.
        case: What it computes.
    Returns:
        Growth above images, weights and one array of outputs; None if it could not be measured.
    """
    try:
        growth = measure_growth(_work, engine, case, _core.get_isa())
    except (TimeoutError, RuntimeError):
        return None
    return max(0, growth.peak - case.layer.problem(case.dtype).output_bytes)


def _work(engine: Engine, case: Case, isa: str) -> Iterator[None]:
    with use_isa(isa):
        engine.set_environment(case.threads)
        # The package is imported and its threads have started before anything is counted; in a thread that ends, since
        # a thread keeps its workspace.
        first = threading.Thread(target=_calls, args=(engine, replace(case, layer=small_like(case.layer))))
        first.start()
        first.join()
        # Ones: random values pass through temporaries, whose memory would be there for the taking.
        images = in_layout(np.ones(case.layer.input_shape, case.dtype), case.layout)
        weight, bias = np.ones(case.layer.weight_shape, case.dtype), case.bias
        yield
        call = engine.prepare(case.layer, weight, bias, case.threads, case.layout)
        begin = time.monotonic()
        while time.monotonic() < begin + _SECONDS:
            call(images)


def _calls(engine: Engine, case: Case) -> None:
    case.prepare(engine)(case.images)
