"""Entry point of the ``fastconv`` command: the parser, and what the process says when it ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fastconv import _core
from fastconv.cli import advise, bench, compare, explain, info, study
from fastconv.cli.output import MissingExtra

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run`, which takes the options and returns an exit code."""
    parser = argparse.ArgumentParser(prog="fastconv", description="2-D convolution by several algorithms, measured.")
    parser.add_argument("--version", action="version", version=f"fastconv {_core.build_info()['version']}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (compare, explain, advise, info, bench, study):
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; None for those of the process.
    Returns:
        The exit code: 0, 1 if something failed, 2 for bad options or a missing extra, 130 after Ctrl-C.
    """
    try:
        options = build_parser().parse_args(argv)
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has left. The interpreter would flush once more when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except MissingExtra as missing:
        print(missing, file=sys.stderr)
        return EXIT_USAGE
    except MemoryError as error:
        print(f"fastconv: not enough memory: {error}", file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        print(f"fastconv: {error}", file=sys.stderr)
        return 1
    return code
