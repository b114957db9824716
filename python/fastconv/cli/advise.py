"""``fastconv advise``: what else has a layer's output shape and receptive field, and what it costs here."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from fastconv.arguments import as_layer
from fastconv.bench import memory, texts
from fastconv.bench.alternatives import alternatives
from fastconv.bench.chain import ChainRow, measure_chains, memory_needed
from fastconv.bench.layers import NamedLayer
from fastconv.bench.provenance import provenance
from fastconv.cli import options as opt
from fastconv.cli import output
from fastconv.cli.progress import progress
from fastconv.introspection import quantity

CAVEAT = """\
All have the layer's output shape and receptive field; they do not compute the same function. How accurate a network
with them is, is not measured here: train it. left: share of what the layer as it is takes. memory: packed weights,
workspace and maps in between, exact; measured: growth of a fresh process, of which a quarter of a MiB is noise."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "advise",
        help="what networks use in a layer's place, and what it costs here",
        description="For one layer: what has the same output shape and receptive field (a stack of 3x3, 1xN then Nx1, "
        "a bottleneck, groups, depthwise-separable, dilated), with weights, multiply-adds, memory and measured time. "
        "Example: fastconv advise --input 64,56,56 --weight 64,64,7,7",
    )
    opt.add_shapes(parser)
    opt.add_geometry(parser, default_padding="same")
    parser.add_argument("--groups", type=opt.positive, default=1, help="(default: 1)")
    opt.add_machine(parser)
    parser.add_argument("--seconds", type=opt.seconds, default=0.1, metavar="S",
                        help="least time per alternative (default: %(default)s)")  # fmt: skip
    parser.add_argument("--repeats", type=opt.positive, default=11, metavar="N",
                        help="samples per alternative (default: %(default)s)")  # fmt: skip
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--json", action="store_true", help="write JSON to standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Measure, then print or write."""
    output.require("rich")
    layer = _layer(options)
    chains = list(alternatives(layer))
    opt.require_memory(
        options, memory_needed(chains, options.dtype), f"input {layer.input_shape}, weight {layer.weight_shape}"
    )
    memory.preload("fastconv.bench.chain")
    with opt.machine(options), progress(len(chains), "alternatives") as (step, advance):
        origin = provenance() | {name: getattr(options, name) for name in ("dtype", "seconds", "repeats")}
        rows = measure_chains(
            chains,
            dtype=options.dtype,
            min_time=options.seconds,
            rounds=options.repeats,
            memory=not options.no_memory,
            on_step=step,
            on_row=advance,
        )
    if options.json:
        output.write_json(
            {**origin, "layer": _layer_data(layer), "alternatives": [_data(row, rows[0]) for row in rows]}
        )
    else:
        _show(layer, rows, origin)
    return 0


def _layer(options: argparse.Namespace) -> NamedLayer:
    try:
        p = as_layer(
            options.input,
            options.weight,
            options.stride,
            options.padding,
            options.dilation,
            options.groups,
            dtype=options.dtype,
        ).problem
    except (ValueError, TypeError) as error:
        opt.usage_error(options, error, opt.SHAPE_ALIASES)
    if p.N == 0:
        opt.usage_error(options, f"input: expected N of at least 1, got shape {options.input}")
    return NamedLayer(
        f"{p.R}x{p.S}", p.C, p.H, p.W, p.K, p.R, p.S, p.N, options.stride,
        ((p.pad_top, p.pad_bottom), (p.pad_left, p.pad_right)), options.dilation, p.groups,
    )  # fmt: skip


def _layer_data(layer: NamedLayer) -> dict[str, Any]:
    return {
        "input_shape": list(layer.input_shape),
        "weight_shape": list(layer.weight_shape),
        "output_shape": list(layer.problem().output_shape),
        **layer.options,
    }


def _data(row: ChainRow, first: ChainRow) -> dict[str, Any]:
    return {
        **asdict(row),
        "weights_left": row.weights / first.weights,
        "multiply_adds_left": row.multiply_adds / first.multiply_adds,
        "time_left": row.time_median_us / first.time_median_us,
    }


def _show(layer: NamedLayer, rows: list[ChainRow], origin: dict[str, Any]) -> None:
    first = rows[0]
    field = " x ".join(map(str, first.receptive_field))
    title = (
        f"{layer.input_shape} * {layer.weight_shape} -> {layer.problem().output_shape}, receptive field {field}; "
        f"{origin['isa']}, threads: {origin['threads']}, {origin['dtype']}"
    )
    columns = ["<alternative", "weights", "mult-adds", "left", "time", "left", "memory", "measured", "<source"]
    table = output.new_table(*columns, title=title)
    for row in rows:
        table.add_row(
            row.name,
            quantity(row.weights, "", 1000),
            quantity(row.multiply_adds, "", 1000),
            f"{row.multiply_adds / first.multiply_adds:.0%}",
            texts.time_text(row.time_median_us) + "?" * row.noisy,
            f"{row.time_median_us / first.time_median_us:.0%}",
            texts.bytes_text(row.stated_bytes),
            texts.bytes_text(row.peak_memory_bytes),
            row.source,
        )
    output.show(table, "", CAVEAT)
