"""Option values that several commands read: pairs, padding, threads, instruction set."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from fastconv import numerics
from fastconv.arguments import DTYPES, Limits, as_accuracy
from fastconv.bench import texts
from fastconv.bench.capacity import available_memory
from fastconv.geometry import Padding
from fastconv.isa import available_isas, use_isa
from fastconv.threads import MAX_THREADS, num_threads


def integers(text: str, lengths: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Ints separated by commas or "x": "3", "1,64,56,56", "2x1".

    Raises:
        argparse.ArgumentTypeError: They are no ints, or not as many as one of `lengths`.
    """
    try:
        values = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected ints separated by commas, got {text!r}") from None
    if lengths and len(values) not in lengths:
        counts = " or ".join(map(str, lengths))
        raise argparse.ArgumentTypeError(f"expected {counts} ints separated by commas, got {text!r}")
    return values


def pair(text: str) -> tuple[int, int]:
    """(height, width) from "2" or "2,1"."""
    values = integers(text, (1, 2))
    return values[0], values[-1]


def padding(text: str) -> Padding:
    """From "same", "valid", "1", "1,2" (height, width) or "0,1,2,3" (top, bottom, left, right)."""
    if text in ("same", "valid"):
        return text
    values = integers(text, (1, 2, 4))
    if len(values) == 4:
        return (values[0], values[1]), (values[2], values[3])
    return values[0], values[-1]


def positive(text: str) -> int:
    values = integers(text, (1,))
    if values[0] < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {text!r}")
    return values[0]


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return value


def threads(text: str) -> int:
    value = positive(text)
    if value > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_THREADS}, got {text!r}")
    return value


def _shape(text: str) -> tuple[int, ...]:
    return integers(text, (3, 4))


SHAPE_ALIASES = {"input_shape": "input", "weight_shape": "weight"}
"""From the library's names to the options of `add_shapes`."""


def add_shapes(parser: argparse.ArgumentParser) -> None:
    """Options for a layer's extents."""
    parser.add_argument("--input", type=_shape, required=True, metavar="N,C,H,W", help="or C,H,W")
    parser.add_argument("--weight", type=_shape, required=True, metavar="K,C/groups,R,S")


def add_geometry(parser: argparse.ArgumentParser, default_padding: str) -> None:
    """Options that shape a layer, beside its extents."""
    parser.add_argument("--stride", type=pair, default=(1, 1), help="pixels: 2, or height,width (default: 1)")
    parser.add_argument(
        "--padding",
        type=padding,
        default=padding(default_padding),
        help="same, valid, pixels, height,width or top,bottom,left,right (default: %(default)s)",
    )
    parser.add_argument("--dilation", type=pair, default=(1, 1), help="pixels: 2, or height,width (default: 1)")


def add_machine(parser: argparse.ArgumentParser, with_dtype: bool = True) -> None:
    """Options that decide what the layer runs with."""
    parser.add_argument("--threads", type=threads, help="most threads (default: the CPUs this process may use)")
    isa_help = "instruction set (default: the best one, or FASTCONV_ISA)"
    parser.add_argument("--isa", choices=available_isas(), help=isa_help)
    if with_dtype:
        parser.add_argument("--dtype", choices=DTYPES, default="float32")


def positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def add_accuracy(parser: argparse.ArgumentParser) -> None:
    """Options that say which rounding errors algorithms may trade for speed."""
    accuracy = parser.add_mutually_exclusive_group()
    accuracy.add_argument("--accuracy", choices=numerics.ACCURACIES, default="balanced",
                          help="what Winograd may do to the digits (default: %(default)s)")  # fmt: skip
    accuracy.add_argument("--max-error", type=positive_number, metavar="E",
                          help="instead: the largest error that may be expected, over the output's rms")  # fmt: skip


def limits(options: argparse.Namespace) -> Limits:
    """What `add_accuracy` read."""
    return as_accuracy(options.accuracy, options.max_error)


@contextmanager
def machine(options: argparse.Namespace) -> Iterator[None]:
    """Run with the threads and the instruction set that were asked for."""
    with ExitStack() as stack:
        if options.isa is not None:
            stack.enter_context(use_isa(options.isa))
        if options.threads is not None:
            stack.enter_context(num_threads(options.threads))
        yield


def require_memory(options: argparse.Namespace, needed: int, what: str) -> None:
    """End with exit code 2 if `what` needs more bytes than this process may still take: before any of them is taken."""
    if needed > (available := available_memory()):
        options.parser.error(
            f"{what}: expected what fits into memory, but it takes at least {texts.bytes_text(needed)}, and "
            f"{texts.bytes_text(available)} are available"
        )


def usage_error(
    options: argparse.Namespace, error: Exception | str, aliases: Mapping[str, str] | None = None
) -> NoReturn:
    """End with exit code 2 and a message that names the option.

    Args:
        options: Holds the command's parser as `parser`.
        error: From the library: its text begins with the name of an argument.
        aliases: From the library's name to the option, where they differ.
    """
    name, _, rest = str(error).partition(":")
    argument = name.partition("[")[0]
    parser: argparse.ArgumentParser = options.parser
    argument = (aliases or {}).get(argument, argument)
    if hasattr(options, argument):
        flag = f"--{argument.replace('_', '-')}"
        parser.error(f"argument {flag if flag in parser.format_usage() else argument}: {rest.strip()}")
    parser.error(str(error))
