"""``fastconv study``: convolution from the perspective of kernel sizes, measured here, as a page to read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastconv.bench import memory
from fastconv.cli import options as opt
from fastconv.cli import output
from fastconv.cli.progress import progress
from fastconv.study import SECTIONS, run
from fastconv.study.section import SCALES, Section


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "study",
        help="measure what kernel sizes, stacks and factorisations cost, as a report",
        description="Measure what kernel sizes, stacks, factorisations and algorithms cost on this machine, and write "
        "report.html, which needs no network, and report.json, with every number in it. A study that was stopped goes "
        "on where it was.",
    )
    parser.add_argument("--out", type=Path, default=Path("fastconv-study"), metavar="DIR",
                        help="where the report goes (default: %(default)s)")  # fmt: skip
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--quick", dest="scale", action="store_const", const="quick", help="less than a minute")
    scale.add_argument("--scale", choices=SCALES,
                       help="how much to measure; tiny tries the report, not the machine (default: full)")  # fmt: skip
    parser.add_argument("--sections", type=_sections, default=SECTIONS, metavar="LIST",
                        help=f"some of {', '.join(section.key for section in SECTIONS)} (default: all)")  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="do not go on with a study that was stopped")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: report.html anew from report.json")
    opt.add_machine(parser, with_dtype=False)
    parser.set_defaults(run=run_study, parser=parser, scale="full")


def _sections(text: str) -> tuple[Section, ...]:
    names = text.split(",")
    known = [section.key for section in SECTIONS]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, got {name!r}")
    return tuple(section for section in SECTIONS if section.key in names)


def _require_folder(options: argparse.Namespace) -> None:
    """End with exit code 2 if the report could not be written: minutes of measuring would be lost."""
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        paths = [options.out / name for name in (run.DATA, run.REPORT)]
        reasons = [output.obstacle(path) if path.is_dir() else output.obstacle(run.part_of(path)) for path in paths]
    except (OSError, ValueError) as error:
        reasons = [str(error)]
    for reason in filter(None, reasons):
        opt.usage_error(options, f"out: {reason}")


def run_study(options: argparse.Namespace) -> int:
    """Measure and write, or only write; say where the report is."""
    output.require("rich", "matplotlib")
    if options.redraw:
        try:
            run.redraw(options.out, options.sections)
        except (OSError, ValueError) as error:
            opt.usage_error(options, f"redraw: {error}")
        print(options.out / run.REPORT)
        return 0
    _require_folder(options)
    if options.fresh:
        (options.out / run.DATA).unlink(missing_ok=True)
    scale = SCALES[options.scale]
    work = run.plan(options.sections, scale)
    for key, reason in work.left_out.items():
        print(f"section {key} is left out: {reason}", file=sys.stderr)
    print(f"{len(work.jobs)} measurements; Ctrl-C stops, the same command goes on", file=sys.stderr, flush=True)
    memory.preload("fastconv.bench.chain")
    with opt.machine(options), progress(work.effort, "of the work", share=True) as (say, done):
        record = run.study(options.out, options.sections, scale, say=say, done=done)
    print(f"{record['seconds']:.0f} s measured", file=sys.stderr)
    print(options.out / run.REPORT)
    return 0
