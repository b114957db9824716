"""Whether a call of PyTorch is the plain one: tensors in memory, and nobody who looks on.

PyTorch's dispatcher decides by keys what a call becomes: those of the tensors, and those that the thread includes or
excludes. Autocasting, tracing, ``torch.func``, modes, functional and fake tensors, quantised, nested, sparse ones,
negated views and other devices each have theirs. So a call is plain if the keys are exactly those of the plainest
calls, which are looked up at import: what is not known, or comes with a later PyTorch, is not plain. Three things have
no key, and are asked for: forward mode, ``TorchFunctionMode``, and compilers, which read the code: :func:`is_recorded`.
"""

from __future__ import annotations

from threading import Thread
from typing import Any

from fastconv.torch.found import torch


def _thread_keys() -> tuple[int, int]:
    core = torch._C
    return (
        core._dispatch_tls_local_include_set().raw_repr(),
        core._dispatch_tls_local_exclude_set().raw_repr(),
    )


def _known() -> tuple[frozenset[Any], ...]:
    """Of plain calls: keys of threads, keys of tensors, classes and types of numbers."""
    threads, tensors = set(), set()
    for inference in (False, True):
        with torch.inference_mode(inference):
            threads.add(_thread_keys())
            tensors.add(torch._C._dispatch_keys(torch.empty(0, device="cpu")).raw_repr())
    classes = frozenset((torch.Tensor, torch.nn.Parameter))
    return frozenset(threads), frozenset(tensors), classes, frozenset((torch.float32, torch.float64))


def _known_anywhere() -> tuple[frozenset[Any], ...]:
    """The same from a thread of its own: this module may be imported inside a mode."""
    if torch is None:
        return (frozenset(),) * 4
    found: list[tuple[frozenset[Any], ...]] = []
    thread = Thread(target=lambda: found.append(_known()))
    thread.start()
    thread.join()
    return found[0]


_THREADS, _TENSORS, _CLASSES, _DTYPES = _known_anywhere()


def are_plain(*tensors: Any) -> bool:
    """Whether all are float32, or all float64, with values in them, in plain memory, and the thread is plain, too."""
    if not is_plain_thread():
        return False
    keys_of, dtype = torch._C._dispatch_keys, None
    for tensor in tensors:
        if type(tensor) not in _CLASSES or keys_of(tensor).raw_repr() not in _TENSORS:
            return False
        if not tensor.numel() or not tensor.data_ptr():  # the second: memory that was given back
            return False
        dtype = dtype or tensor.dtype
        if tensor.dtype is not dtype:
            return False
    return dtype in _DTYPES


def is_plain_thread() -> bool:
    """Whether nothing but the plain kernels would see a call."""
    return (
        torch.autograd.forward_ad._current_level < 0
        and not torch._C._len_torch_function_stack()
        and _thread_keys() in _THREADS
    )


def is_recorded() -> bool:
    """Whether a graph is made of the calls of operators: by a compiler, a trace, or ``torch.func.functionalize``."""
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return True
    transform = torch._C._functorch.peek_interpreter_stack()
    return transform is not None and transform.key() == torch._C._functorch.TransformType.Functionalize
