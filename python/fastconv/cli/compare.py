"""``fastconv compare``: every algorithm against the others on a photograph, kernel size by kernel size."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fastconv import _core
from fastconv.arguments import as_layer
from fastconv.bench import image, memory
from fastconv.bench.compare import Effort, memory_needed, study
from fastconv.bench.layers import NamedLayer
from fastconv.bench.provenance import provenance
from fastconv.bench.texts import path_text
from fastconv.cli import compare_report as report
from fastconv.cli import options as opt
from fastconv.cli import output, plot
from fastconv.cli.progress import progress

_TENSORS = "the image", "the kernel"  # in messages
_ALIASES = dict(zip(_TENSORS, ("size", "groups"), strict=True))  # the options behind them
DEFAULT_KERNELS = "1,3,5,7,11"


@dataclass(frozen=True)
class Extents:
    """A family of layers that differ in kernel size alone."""

    title: str
    channels: int
    filters: int
    size: tuple[int, int]
    groups: int


# Without options: one part in which each algorithm has its place.
DEFAULT_PARTS = (
    Extents("many channels", 64, 64, (56, 56), 1),
    Extents("small image, so that the dense matrix fits", 4, 8, (24, 24), 1),
    Extents("depthwise", 64, 64, (56, 56), 64),
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "compare",
        help="measure all algorithms against each other on a photograph",
        description="Measure all algorithms against each other on a photograph, kernel size by kernel size. Without "
        "--channels, --filters, --size or --groups: three parts, with many channels, a small image, and depthwise.",
    )
    parser.add_argument("--image", type=Path, metavar="FILE", help="photograph (default: matplotlib's sample portrait)")
    parser.add_argument("--kernels", type=_kernels, default=_kernels(DEFAULT_KERNELS), metavar="LIST",
                        help=f"kernel sizes, e.g. 3,5 or 1x7,7x1 (default: {DEFAULT_KERNELS})")  # fmt: skip
    parser.add_argument("--algorithms", type=_algorithms, default=_core.algorithms(), metavar="LIST",
                        help=f"some of {','.join(_core.algorithms())} (default: all)")  # fmt: skip
    parser.add_argument("--channels", type=opt.positive, help="C (default: 64)")
    parser.add_argument("--filters", type=opt.positive, help="K (default: as many as channels)")
    parser.add_argument("--size", type=opt.pair, help="image: 56, or height,width (default: 56)")
    parser.add_argument("--groups", type=opt.positive, help="(default: 1)")
    parser.add_argument("--batch", type=opt.positive, default=1, help="images (default: 1)")
    opt.add_geometry(parser, default_padding="same")
    opt.add_accuracy(parser)
    opt.add_machine(parser)
    parser.add_argument("--seconds", type=opt.seconds, default=Effort.min_time, metavar="S",
                        help="least time per algorithm and layer (default: %(default)s)")  # fmt: skip
    parser.add_argument("--repeats", type=opt.positive, default=Effort.rounds, metavar="N",
                        help="samples per algorithm and layer (default: %(default)s)")  # fmt: skip
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--no-baselines", action="store_true", help="leave NumPy's and SciPy's ways out")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--json", action="store_true", help="write JSON to standard output instead of tables")
    data.add_argument("--csv", action="store_true", help="write CSV to standard output instead of tables")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw time and memory per kernel size")
    parser.set_defaults(run=run, parser=parser)


def _kernels(text: str) -> tuple[tuple[int, int], ...]:
    kernels = tuple(opt.pair(part) for part in text.split(","))
    if min(map(min, kernels)) < 1:
        raise argparse.ArgumentTypeError(f"expected sizes of at least 1, got {text!r}")
    return kernels


def _algorithms(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in _core.algorithms():
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(_core.algorithms())}, got {name!r}")
    return names


def run(options: argparse.Namespace) -> int:
    """Study, then print or write, then draw."""
    output.require("rich", "matplotlib", "PIL")
    if options.plot is not None and (obstacle := plot.obstacle(options.plot)) is not None:
        opt.usage_error(options, f"plot: {obstacle}")
    families, limits = _families(options), opt.limits(options)
    for layer in (layer for _, layers in families for layer in layers):
        try:
            needed = memory_needed(layer, options.dtype, options.algorithms, limits)
        except ValueError as error:
            opt.usage_error(options, error)
        opt.require_memory(options, needed, f"{layer.name} on {layer.input_shape}")
    path = options.image or image.default_photograph()
    try:
        photograph = image.load(path)
    except OSError as error:
        opt.usage_error(options, f"image: cannot read {path_text(path)}: {error}")
    memory.preload(study.__module__, "scipy.signal")
    effort = Effort(options.seconds, options.repeats, not options.no_memory, not options.no_baselines)
    count = sum(len(layers) for _, layers in families)
    print(f"comparing {len(options.algorithms)} algorithms on {count} layers", file=sys.stderr, flush=True)
    with opt.machine(options):
        name = path_text(options.image or f"{path.name}, of matplotlib's sample data")
        origin = provenance() | {"image": name, "image_pixels": list(photograph.size)} | limits.options
        begin = time.monotonic()
        parts = []
        with progress(count, "layers") as (step, advance):
            for title, layers in families:
                studies = []
                for layer in layers:
                    x = image.as_input(photograph, layer.input_shape, options.dtype)
                    w = layer.random_weight(options.dtype)
                    studies.append(
                        study(layer, x, w, algorithms=options.algorithms, effort=effort, limits=limits, on_step=step)
                    )
                    advance()
                parts.append(report.Part(title, tuple(studies)))
        origin["seconds"] = round(time.monotonic() - begin, 1)
    if options.json:
        output.write_json({**origin, "parts": [report.part_data(part) for part in parts]})
    elif options.csv:
        output.write_csv(report.csv_rows(origin, parts))
    else:
        report.show(origin, parts, with_memory=effort.memory)
    if options.plot is not None:
        plot.draw(options.plot, parts, report.machine_line(origin))
    return 0


def _families(options: argparse.Namespace) -> list[tuple[str, list[NamedLayer]]]:
    chosen = (options.channels, options.filters, options.size, options.groups)
    parts: tuple[Extents, ...] = DEFAULT_PARTS
    if any(value is not None for value in chosen):
        channels = options.channels or 64
        parts = (
            Extents("one family", channels, options.filters or channels, options.size or (56, 56), options.groups or 1),
        )
    try:
        return [(_title(part, options), [_layer(part, size, options) for size in options.kernels]) for part in parts]
    except (ValueError, TypeError) as error:
        opt.usage_error(options, error, _ALIASES)


def _title(part: Extents, options: argparse.Namespace) -> str:
    H, W = part.size
    groups = f", {part.groups} groups" if part.groups > 1 else ""
    batch = f", {options.batch} images" if options.batch > 1 else ""
    return f"{part.title}: {part.channels} -> {part.filters} channels, {H} x {W}{groups}{batch}"


def _layer(part: Extents, kernel: tuple[int, int], options: argparse.Namespace) -> NamedLayer:
    (H, W), (R, S), (sh, sw), (dh, dw) = part.size, kernel, options.stride, options.dilation
    shape, weight_shape = (options.batch, part.channels, H, W), (part.filters, part.channels // part.groups, R, S)
    p = as_layer(
        shape,
        weight_shape,
        (sh, sw),
        options.padding,
        (dh, dw),
        part.groups,
        dtype=options.dtype,
        names=_TENSORS,
    ).problem
    pads = (p.pad_top, p.pad_bottom), (p.pad_left, p.pad_right)
    name = f"{R}x{S}"
    return NamedLayer(
        name, p.C, H, W, p.K, R, S, N=p.N, stride=(sh, sw), padding=pads, dilation=(dh, dw), groups=p.groups
    )
