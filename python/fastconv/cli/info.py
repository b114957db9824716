"""``fastconv info``: build, machine, instruction set and threads."""

from __future__ import annotations

import argparse

from fastconv.bench.provenance import provenance
from fastconv.cli import output
from fastconv.introspection import show_config


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("info", help="show build, machine, instruction set and threads")
    parser.add_argument("--json", action="store_true", help="write JSON to standard output")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    if options.json:
        output.write_json({**provenance(), "config": show_config(mode="dicts")})
    else:
        show_config()
    return 0
