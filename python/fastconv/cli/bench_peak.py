"""``fastconv bench peak``: what the machine allows, and how much of it the GEMM reaches."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from fastconv.bench import texts
from fastconv.bench.peak import Bandwidth, GemmShare, bandwidths, gemm_shares
from fastconv.bench.provenance import provenance
from fastconv.cli import options as opt
from fastconv.cli import output
from fastconv.isa import available_isas
from fastconv.threads import get_num_threads


def add_parser(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    peak = subjects.add_parser(
        "peak",
        help="FMA peak, memory bandwidth per level, GEMM as a share of the peak",
        description="Measure the peak of fused multiply-adds and the GEMM taking turns, per instruction set and dtype, "
        "and memory bandwidth per level; with one thread and with all.",
    )
    opt.add_machine(peak, with_dtype=False)
    peak.add_argument("--size", type=opt.positive, default=1024, help="M = N = K of the GEMM (default: %(default)s)")
    peak.add_argument("--seconds", type=opt.seconds, default=0.4, metavar="S",
                      help="least time per GEMM (default: %(default)s)")  # fmt: skip
    peak.add_argument("--json", action="store_true", help="write JSON to standard output")
    peak.set_defaults(run=run, parser=peak)


def run(options: argparse.Namespace) -> int:
    if not options.json:
        output.require("rich")
    opt.require_memory(options, 5 * 8 * options.size**2, f"argument --size: a GEMM of {options.size}^3")
    isas = available_isas() if options.isa is None else (options.isa,)
    with opt.machine(options):
        origin = provenance()
        counts = sorted({1, get_num_threads()})
        shares: list[GemmShare] = []
        for isa in isas:
            for threads in counts:
                _say(f"GEMM and peak: {isa}, threads: {threads}")
                shares += gemm_shares(isa, threads, options.size, options.seconds)
        levels: list[Bandwidth] = []
        for threads in counts:
            _say(f"memory bandwidth, threads: {threads}")
            levels += bandwidths(threads)
    if options.json:
        gemm = [{**asdict(row), "share_of_peak": row.share_of_peak} for row in shares]
        output.write_json({**origin, "gemm": gemm, "bandwidth": [asdict(row) for row in levels]})
    else:
        _show(shares, levels)
    return 0


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def _show(shares: list[GemmShare], levels: list[Bandwidth]) -> None:
    size = shares[0].size
    gemm = output.new_table(
        "<isa", "threads", "<dtype", "FMA peak", f"GEMM {size}^3", "quartiles", "of peak", "best of best",
        title="GFLOP/s: fused multiply-adds in registers and GEMM, taking turns; medians",
    )  # fmt: skip
    for row in shares:
        gemm.add_row(
            row.isa,
            str(row.threads),
            row.dtype,
            f"{row.peak_gflops_median:.1f}",
            f"{row.gemm_gflops_median:.1f}" + "?" * row.noisy,
            f"{row.gemm_gflops_first_quartile:.1f}..{row.gemm_gflops_third_quartile:.1f}",
            f"{row.share_of_peak:.1%}",
            f"{row.gemm_gflops_best / row.peak_gflops_best:.1%}",
        )
    memory = output.new_table(
        "<level", "threads", "per thread", "read", "write", "copy", title="GB/s; copy counts bytes read and written"
    )
    for level in levels:
        memory.add_row(
            level.level,
            str(level.threads),
            texts.bytes_text(level.bytes_per_thread),
            *(f"{rate:.1f}" for rate in (level.read_gb_per_s, level.write_gb_per_s, level.copy_gb_per_s)),
        )
    output.show(gemm, memory)
