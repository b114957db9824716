"""PyTorch's own functions by ours, for whoever asked for it: :func:`patch`.

While somebody has a patch open, ``torch.nn.functional`` has the functions below. They ask whether the calling thread,
or task, is the one that opened it, and whether the call is a plain one; everything else goes to PyTorch, as does what
PyTorch would refuse, so that its own error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from fastconv.torch import calls
from fastconv.torch.found import need_torch, torch
from fastconv.torch.kinds import (
    CONV1D,
    CONV2D,
    CONV3D,
    CONV_TRANSPOSE1D,
    CONV_TRANSPOSE2D,
    CONV_TRANSPOSE3D,
    Kind,
)
from fastconv.torch.state import are_plain


class _Patch:
    """An open ``with`` block, and the one around it in its context."""

    def __init__(self, outer: _Patch | None) -> None:
        self.outer, self.is_open = outer, True


_innermost: ContextVar[_Patch | None] = ContextVar("fastconv.torch.patch", default=None)
_open: set[_Patch] = set()
_lock = Lock()
_installed: set[str] = set()


def _current() -> _Patch | None:
    """The innermost block that is still open: they need not end in the order, or the context, that they began in."""
    patch = _innermost.get()
    while patch is not None and not patch.is_open:
        patch = patch.outer
    return patch


@contextmanager
def patch() -> Iterator[None]:
    """Have the convolutions of ``torch.nn.functional``, ``conv1d`` to ``conv_transpose3d``, run here where they can.

    Those are calls with float32 or float64 tensors on the CPU, of one dtype, with values in them, in the plainest mode:
    eager, with derivatives in reverse or without. All others go where they always go: forward mode, ``torch.func``,
    autocasting, tracing, scripting, compiling, modes, subclasses, other devices and layouts.

    It holds for modules such as ``torch.nn.Conv2d``, and for the calling thread or task alone, until the block ends.
    Threads that are started inside do not have it, unless they run in a copy of the context
    (``contextvars.copy_context``, ``asyncio.to_thread``); worker processes have it if they are forked inside. Blocks
    may nest, overlap, and end in any order.

    Raises:
        ImportError: There is no package ``torch``.
    Source: PyTorch's modules look the functions up at each call.
    """
    need_torch()
    mine = _Patch(_current())
    try:
        _install(mine)
        _innermost.set(mine)
        yield
    finally:
        mine.is_open = False
        _innermost.set(_current())
        _uninstall(mine)


def _install(mine: _Patch) -> None:
    functional = torch.nn.functional
    with _lock:
        _open.add(mine)
        for name, ours in OURS.items():
            if name not in _installed:
                _theirs[name] = getattr(functional, name)
                setattr(functional, name, ours)
                _installed.add(name)


def _uninstall(mine: _Patch) -> None:
    functional = torch.nn.functional
    with _lock:
        _open.discard(mine)
        for name, ours in {} if _open else OURS.items():
            # Who put something else in its place meanwhile may go on to call ours, which goes on to theirs.
            if getattr(functional, name) is ours:
                setattr(functional, name, _theirs[name])
                _installed.remove(name)


def _is_as_pytorch_has_it(stride: Any, padding: Any) -> bool:
    """Whether no argument is one that only we take."""
    if isinstance(padding, str):
        steps = stride if isinstance(stride, tuple | list) else (stride,)
        return padding == "valid" or (padding == "same" and all(step == 1 for step in steps))
    return not isinstance(padding, tuple | list) or not any(isinstance(pad, tuple | list) for pad in padding)


def _convolve(kind: Kind, input: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    if not torch.compiler.is_compiling() and _current():
        tensors = (input, weight) if bias is None else (input, weight, bias)
        if are_plain(*tensors) and _is_as_pytorch_has_it(*arguments[:2]):
            try:
                return calls.convolve_plain(kind, input, weight, bias, *arguments)
            except (
                MemoryError,
                TypeError,
                ValueError,
            ):  # before any work: PyTorch may do with less, or say what is wrong
                pass
    return _theirs[kind.name](input, weight, bias, *arguments)


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Any:
    return _convolve(CONV1D, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Any:
    return _convolve(CONV2D, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Any:
    return _convolve(CONV3D, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Any:
    return _convolve(CONV_TRANSPOSE1D, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Any:
    return _convolve(CONV_TRANSPOSE2D, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Any:
    return _convolve(CONV_TRANSPOSE3D, input, weight, bias, stride, padding, output_padding, groups, dilation)


OURS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d)
}
# What stood where ours stand, or would stand.
_theirs: dict[str, Callable[..., Any]] = {}
if torch is not None:
    _theirs.update((name, getattr(torch.nn.functional, name)) for name in OURS)
    for name, function in OURS.items():  # so that TorchScript compiles a call to PyTorch's own
        torch.jit._builtins._register_builtin(function, f"aten::{name}")
