"""``fastconv explain``: who refuses a layer and why, what the others would cost, and which one would run."""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields
from typing import Any

from fastconv.arguments import LAYOUTS
from fastconv.bench.provenance import provenance
from fastconv.cli import options as opt
from fastconv.cli import output
from fastconv.introspection import Explanation, explain


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "explain",
        help="who refuses a layer and why, what the others would cost, which one would run",
        description="For one layer, without data: who refuses it and why, estimated time, workspace and error of the "
        "others, which one would run and why. "
        "Example: fastconv explain --input 1,64,56,56 --weight 64,64,3,3 --padding 1",
    )
    opt.add_shapes(parser)
    opt.add_geometry(parser, default_padding="0")
    parser.add_argument("--groups", type=opt.positive, default=1, help="(default: 1)")
    parser.add_argument("--layout", choices=LAYOUTS, default="NCHW")
    parser.add_argument("--prepared", action="store_true", help="weights packed beforehand, as in fastconv.Conv2d")
    parser.add_argument("--workspace-limit", type=opt.positive, metavar="BYTES", help="most scratch memory")
    opt.add_accuracy(parser)
    opt.add_machine(parser)
    parser.add_argument("--json", action="store_true", help="write JSON to standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    with opt.machine(options):
        try:
            explanation = explain(
                options.input,
                options.weight,
                options.stride,
                options.padding,
                options.dilation,
                options.groups,
                dtype=options.dtype,
                layout=options.layout,
                prepared=options.prepared,
                workspace_limit=options.workspace_limit,
                **opt.limits(options).options,
            )
        except (ValueError, TypeError) as error:
            opt.usage_error(options, error, opt.SHAPE_ALIASES)
        if options.json:
            output.write_json({**provenance(), **_as_data(explanation)})
        else:
            print(explanation)
    return 0


def _as_data(explanation: Explanation) -> dict[str, Any]:
    data = {field.name: getattr(explanation, field.name) for field in fields(explanation)}
    p = data.pop("problem")
    data |= {
        "dtype": p.dtype,
        "input_shape": list(p.input_shape),
        "weight_shape": list(p.weight_shape),
        "output_shape": list(explanation.output_shape),
        "stride": [p.stride_h, p.stride_w],
        "padding": [[p.pad_top, p.pad_bottom], [p.pad_left, p.pad_right]],
        "dilation": [p.dilation_h, p.dilation_w],
        "groups": p.groups,
        "reports": [asdict(report) for report in explanation.reports],
    }
    return data
