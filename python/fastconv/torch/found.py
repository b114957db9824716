"""PyTorch, if there is one: modules of this package can be imported without it, and do nothing then."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

torch: Any = None if find_spec("torch") is None else import_module("torch")

# What automatic derivatives inherit from.
Function: Any = object if torch is None else torch.autograd.Function


def need_torch() -> None:
    if torch is None:
        raise ImportError("fastconv.torch: expected the package torch to be installed")
