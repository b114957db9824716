"""``fastconv bench``: the named layers by fastconv, and with ``--peers`` by the other engines that are installed."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

from fastconv import _core
from fastconv.bench.layers import KINDS, TABLES, NamedLayer
from fastconv.bench.networks import NETWORKS, SETS
from fastconv.bench.peak import bandwidths
from fastconv.bench.peers import PEERS
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.contest import contest
from fastconv.bench.peers.engine import Engine
from fastconv.bench.peers.outcome import Outcome
from fastconv.bench.peers.own import FastConv
from fastconv.bench.peers.probe import Probe
from fastconv.bench.provenance import provenance
from fastconv.cli import bench_data, bench_diff, bench_peak, bench_plot, output, plot
from fastconv.cli import bench_report as report
from fastconv.cli import options as opt
from fastconv.cli.progress import progress
from fastconv.threads import get_num_threads

# Without a list: the dense matrix of a real layer does not fit into memory, and `reference` takes minutes.
_FAST = tuple(name for name in _core.algorithms() if name not in ("dense", "reference"))


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure the named layers, against other engines too, and the machine",
        description="Measure layers of known networks by fastconv, weights packed beforehand; with --peers by all "
        "other engines that are installed, too. Each result is checked against float64; engines take turns.",
    )
    parser.add_argument("--peers", action="store_true", help="compare with the other engines that are installed")
    parser.add_argument("--engines", type=_names, metavar="LIST",
                        help="only these peers, by parts of their names: torch,openvino (implies --peers)")  # fmt: skip
    parser.add_argument("--algorithms", nargs="?", type=_some_of(_core.algorithms()), const=_FAST, default=(),
                        metavar="LIST",
                        help="also each algorithm by itself (default: all but dense and reference)")  # fmt: skip
    parser.add_argument("--plain-calls", action="store_true",
                        help="also conv2d(), by auto and by --algorithms: weights packed at each call")  # fmt: skip
    parser.add_argument("--set", dest="tables", type=_some_of(SETS), metavar="LIST",
                        help=f"networks: {', '.join(NETWORKS)}; or tables of layers: "
                        f"{', '.join(sorted(TABLES.keys() - NETWORKS.keys()))} (default: all tables)")  # fmt: skip
    parser.add_argument("--classes", type=_some_of(KINDS), metavar="LIST",
                        help=f"classes of layers: {', '.join(KINDS)} (default: all)")  # fmt: skip
    parser.add_argument("--layers", type=_pattern, metavar="REGEX", help="layers whose name matches")
    parser.add_argument("--layout", choices=("NCHW", "NHWC"), default="NCHW", help="of what goes in and comes out")
    parser.add_argument("--bias", action="store_true", help="with a value per filter added")
    opt.add_accuracy(parser)
    opt.add_machine(parser)
    parser.add_argument("--seconds", type=opt.seconds, default=0.15, metavar="S",
                        help="least time per engine and layer (default: %(default)s)")  # fmt: skip
    parser.add_argument("--repeats", type=opt.positive, default=15, metavar="N",
                        help="samples per engine and layer (default: %(default)s)")  # fmt: skip
    parser.add_argument("--memory", action="store_true",
                        help="measure each engine's peak memory, too, in a fresh process")  # fmt: skip
    parser.add_argument("--no-probe", action="store_true",
                        help="try no engine in another process first: faster, but a crash ends the run")  # fmt: skip
    data = parser.add_mutually_exclusive_group()
    for name in ("json", "csv", "markdown"):
        data.add_argument(f"--{name}", action="store_true", help=f"write {name.upper()} to standard output")
    parser.add_argument("--plot", type=Path, metavar="FILE.png",
                        help="also draw ratio to the best peer and share of the limit, layer by layer")  # fmt: skip
    parser.set_defaults(run=run, parser=parser)
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT")
    bench_peak.add_parser(subjects)
    bench_diff.add_parser(subjects)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(","))


def _some_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, got {name!r}")
        return names

    return parse


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def run(options: argparse.Namespace) -> int:
    """Measure, then print or write."""
    output.require("rich", *(["matplotlib"] if options.plot is not None else []))
    if options.plot is not None and (obstacle := plot.obstacle(options.plot)) is not None:
        opt.usage_error(options, f"plot: {obstacle}")
    layers = _layers(options)
    with opt.machine(options):
        threads = get_num_threads()
        engines, missing = choose_engines(options)
        for engine in engines.values():
            engine.set_environment(threads)
        names = "layout", "dtype", "bias", "accuracy", "max_error", "seconds", "repeats"
        origin = provenance() | {name: getattr(options, name) for name in names}
        begin = time.monotonic()
        outcomes: list[Outcome] = []
        trial = nullcontext() if options.no_probe else Probe(engines, threads)
        with trial as probe, output.quiet_libraries(), progress(len(layers), "layers") as (step, advance):
            step("memory bandwidth")
            levels = bandwidths(threads)
            for layer in layers:
                case = Case(layer, options.dtype, options.layout, threads, options.bias)
                outcomes.append(
                    contest(
                        case, engines, probe=probe, levels=levels,
                        seconds=options.seconds, rounds=options.repeats,
                        memory=options.memory, on_step=step,
                    )
                )  # fmt: skip
                advance()
        origin["run_seconds"] = round(time.monotonic() - begin, 1)
    versions = {name: engine.version for name, engine in engines.items()}
    record = bench_data.Record(origin, versions, missing, levels, outcomes)
    if options.json:
        output.write_json(bench_data.data(record))
    elif options.csv:
        output.write_csv(bench_data.csv_rows(record))
    elif options.markdown:
        sys.stdout.write(report.markdown(record))
    else:
        report.show(record)
    if options.plot is not None:
        bench_plot.draw(options.plot, outcomes, report.title(origin))
    return 0


def _layers(options: argparse.Namespace) -> list[NamedLayer]:
    wanted = dict.fromkeys(layer for table in options.tables or TABLES for layer in SETS[table])
    layers = [
        layer
        for layer in wanted
        if (options.classes is None or layer.kind in options.classes)
        and (options.layers is None or options.layers.search(layer.name))
    ]
    if not layers:
        options.parser.error("no layer is in all of --set, --classes and --layers")
    return layers


def choose_engines(options: argparse.Namespace) -> tuple[dict[str, Engine], dict[str, str]]:
    """Engines that take part by name, fastconv first; and from those that do not to the module they lack."""
    limits = opt.limits(options)
    own = [FastConv(name, limits=limits) for name in ("auto", *options.algorithms)]
    if options.plain_calls:
        own += [FastConv(engine.algorithm, prepared=False, limits=limits) for engine in own]
    engines: dict[str, Engine] = {engine.name: engine for engine in own}
    missing: dict[str, str] = {}
    if options.engines is not None:
        for part in options.engines:
            if not any(part in _known_as(engine) for engine in PEERS.values()):
                options.parser.error(f"argument --engines: expected parts of {', '.join(PEERS)}, got {part!r}")
    for name, engine in PEERS.items() if options.peers or options.engines is not None else ():
        if options.engines is not None and not any(part in _known_as(engine) for part in options.engines):
            continue
        if (module := engine.missing()) is not None:
            missing[name] = module
        else:
            engines[name] = engine
    return engines, missing


def _known_as(engine: Engine) -> str:
    return f"{engine.name} {engine.module} {type(engine).__module__}".lower()
