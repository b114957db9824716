"""Entry point of the ``fastconv`` command: the parser, and what the process says when it ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fastconv import _core
from fastconv.cli import advise, bench, compare, explain, info, streams, study
from fastconv.cli.output import MissingExtra

EXIT_FAILED = 1
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

    Bad input ends in argparse's way, with a message that names the option. What fails beside it, fails here: whatever
    the machine, its files and its streams can do to a command is a line on standard error. Other exceptions are
    mistakes of this program, and keep their tracebacks.

    Args:
        argv: Arguments without the program's name; None for those of the process.
    Returns:
        The exit code: 0, 1 if something failed, 2 for bad options or a missing extra, 130 after Ctrl-C, 141 if the
        reader of standard output has left.
    """
    try:
        with streams.usable():
            try:
                options = build_parser().parse_args(argv)
                code: int = options.run(options)
            except SystemExit:
                sys.stdout.flush()  # of --help: here, where a failure has a message, not when the interpreter ends
                raise
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        streams.say("interrupted")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        code = EXIT_BROKEN_PIPE
    except MissingExtra as missing:
        streams.say(str(missing))
        code = EXIT_USAGE
    except MemoryError as error:
        streams.say(f"fastconv: not enough memory: {error}" if str(error) else "fastconv: not enough memory")
        code = EXIT_FAILED
    except (OSError, RuntimeError) as error:
        streams.say(f"fastconv: {error}")
        code = EXIT_FAILED
    streams.drop_unwritten()
    return code
