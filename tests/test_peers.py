"""The comparison with other engines: made-up ones of every kind, and those that are installed, briefly."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fastconv.bench.baselines import numpy_tensordot
from fastconv.bench.layers import KINDS, TABLES, NamedLayer, square
from fastconv.bench.measure import Timing
from fastconv.bench.peak import Bandwidth
from fastconv.bench.peers import PEERS
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.contest import contest, judged, max_error
from fastconv.bench.peers.engine import Engine
from fastconv.bench.peers.limits import Limit, limit, useful_multiply_adds
from fastconv.bench.peers.numpy import NumPy
from fastconv.bench.peers.outcome import Entry, Outcome, auto_summary, summaries
from fastconv.bench.peers.own import OWN, PLAIN_CALL, FastConv
from fastconv.bench.peers.probe import Probe
from fastconv.bench.peers.quiet import wait_until_quiet
from fastconv.cli import bench
from fastconv.cli.main import main

LAYER = square("small 4->6 @9 3x3", 4, 9, 6, 3)
CASE = Case(LAYER)
LEVELS = [Bandwidth("L1", 1, 1, 100.0, 50.0, 70.0), Bandwidth("DRAM", 1, 1, 10.0, 5.0, 7.0)]


class Fake(Engine):
    """NumPy's own way, and then something happens."""

    module = distribution = "numpy"
    dtypes = ("float32", "float64")

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, layer, weight, bias, threads, layout):
        def call(x):
            y = numpy_tensordot(x, weight, layer)
            return self.after(y if bias is None else y + bias[:, None, None])

        return call

    def after(self, y):
        return y


class Slow(Fake):
    def after(self, y):
        time.sleep(0.003)
        return y


class Wrong(Fake):
    def after(self, y):
        return y[:, ::-1].copy()


class Inaccurate(Fake):
    def after(self, y):
        return y * y.dtype.type(1.001)


class NotANumber(Fake):
    def after(self, y):
        y[0, 0, 0, 0] = np.nan
        return y


class Misshapen(Fake):
    def after(self, y):
        return y[0]


class Failing(Fake):
    def after(self, y):
        raise RuntimeError("out of luck\nsecond line")


class Crashing(Fake):
    def after(self, y):
        os.kill(os.getpid(), signal.SIGSEGV)


class Hanging(Fake):
    def after(self, y):
        time.sleep(60)


def hold(*engines: Engine, case: Case = CASE, probe: Probe | None = None, **options: object) -> Outcome:
    named = {engine.name: engine for engine in (FastConv(), *engines)}
    return contest(case, named, probe=probe, levels=LEVELS, seconds=0.01, rounds=3, **options)  # type: ignore[arg-type]


def test_sound_engines_are_timed_and_compared() -> None:
    steps: list[str] = []
    outcome = hold(Fake("fake"), Slow("slow"), on_step=steps.append)
    assert [entry.status for entry in outcome.entries.values()] == ["measured"] * 3
    assert outcome.best_peer is not None and outcome.best_peer[0] == "fake"
    assert outcome.own is not None
    assert outcome.ratio == outcome.best_peer[1].median / outcome.own.median
    assert outcome.ratio > 1, "fastconv beats tensordot on this layer by a wide margin"
    slow = outcome.entries["slow"].timing
    assert slow is not None and slow.median > 0.003
    assert outcome.entries[OWN].detail, "the algorithm and its variant"
    assert any("first call of slow" in step for step in steps)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (Wrong("wrong"), "wrong result"),
        (NotANumber("nan"), "wrong result"),
        (Misshapen("misshapen"), "expected float32 (1, 6, 9, 9)"),
        (Failing("failing"), "RuntimeError: out of luck"),
    ],
    ids=lambda value: getattr(value, "name", None),  # the same in every process that collects them
)
def test_what_fails_is_not_timed(engine: Fake, words: str) -> None:
    outcome = hold(engine, Fake("fake"))
    entry = outcome.entries[engine.name]
    assert (entry.status, entry.timing, entry.eligible) == ("failed", None, False)
    assert entry.reason is not None and words in entry.reason and "\n" not in entry.reason
    assert outcome.best_peer is not None and outcome.best_peer[0] == "fake"


def test_the_inaccurate_is_timed_but_no_peer() -> None:
    outcome = hold(Inaccurate("inaccurate"))
    entry = outcome.entries["inaccurate"]
    assert entry.timing is not None and entry.error == pytest.approx(1e-3, rel=0.01)
    assert entry.reason == "error 1.0e-03"
    assert outcome.best_peer is None and outcome.ratio is None


def test_float64_has_a_bound_of_its_own() -> None:
    class Float32Inside(Fake):
        def after(self, y):
            return y.astype(np.float32).astype(y.dtype)

    outcome = hold(Float32Inside("inside"), Fake("fake"), case=Case(LAYER, dtype="float64"))
    assert not outcome.entries["inside"].eligible
    assert outcome.entries["fake"].eligible


@pytest.mark.parametrize(
    ("threads", "cpus", "eligible"), [(1, 1.02, True), (1, 1.3, False), (2, 1.9, True), (2, 2.6, False)]
)
def test_too_many_threads_are_noticed(threads: int, cpus: float, eligible: bool) -> None:
    entry = judged(Entry("greedy", error=0.0), Timing((1.0,), cpu_seconds=cpus), Case(LAYER, threads=threads))
    assert entry.eligible is eligible
    assert (entry.reason or "").startswith("" if eligible else f"used {cpus:.2f} CPUs")


def test_refusals_are_told() -> None:
    entry = hold(Fake("fake"), case=Case(LAYER, layout="NHWC")).entries["fake"]
    assert (entry.status, entry.reason) == ("refused", "no NHWC")


def test_a_crash_is_survived_and_the_next_engine_is_tried() -> None:
    crashing, failing, fake = Crashing("crashing"), Failing("failing"), Fake("fake")
    with Probe({engine.name: engine for engine in (FastConv(), crashing, failing, fake)}, threads=1) as probe:
        outcome = hold(crashing, failing, fake, probe=probe)
    assert outcome.entries["crashing"].reason == "crashed: SIGSEGV"
    assert outcome.entries["failing"].reason == "RuntimeError: out of luck"
    assert outcome.entries["fake"].eligible


def test_an_endless_call_is_ended() -> None:
    hanging, fake = Hanging("hanging"), Fake("fake")
    with Probe({"hanging": hanging, "fake": fake}, threads=1) as probe:
        assert probe.failure("fake", Case(LAYER)) is None
        probe._timeout = 0.5  # the process has started by now, which may take longer
        assert probe.failure("hanging", Case(LAYER)) == "no answer within 0.5 s"
        probe._timeout = 120.0
        assert probe.failure("fake", Case(LAYER)) is None


class Unimportable(Fake):
    def prepare(self, layer, weight, bias, threads, layout):
        self.load(self.module)
        raise AssertionError("the import must have failed")


def test_what_cannot_be_imported_is_named_and_the_rest_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One peer is not installed, one is there but its import fails, one has no metadata: it is compared with."""
    (tmp_path / "broken_engine.py").write_text("raise ImportError('libsomething.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    absent, broken, anonymous = Fake("absent"), Unimportable("broken"), Fake("anonymous")
    absent.module = "no_such_module_anywhere"
    broken.module = broken.distribution = "broken_engine"
    anonymous.distribution = "no-such-distribution"
    engines = {engine.name: engine for engine in (absent, broken, anonymous, Slow("slow"))}
    monkeypatch.setattr(bench, "PEERS", engines)
    assert main([*SHORT, "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert data["engines_missing"] == {"absent": "no_such_module_anywhere"}
    assert data["engines"]["anonymous"] == "unknown"
    for layer in data["layers"]:
        entries = {entry["engine"]: entry for entry in layer["entries"]}
        assert entries["broken"]["reason"] == "ImportError: libsomething.so: cannot open shared object file"
        assert layer["best_peer"] == "anonymous"
    assert main(SHORT) == 0
    out = capfd.readouterr().out
    assert "no_such_module_anywhere is not installed" in out
    assert "ImportError: libsomething.so" in out


class Talkative(Fake):
    def after(self, y):
        libc = ctypes.CDLL(None)
        libc.printf(b"buffered by the C library")
        os.write(1, b"written at once")
        return y


def test_what_engines_print_is_no_output(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "PEERS", {"talkative": Talkative("talkative")})
    assert main([*SHORT, "--json"]) == 0
    ctypes.CDLL(None).fflush(None)  # as at the end of the process
    assert json.loads(capfd.readouterr().out)["layers"]


def test_bias_reaches_engine_and_reference() -> None:
    with_bias = Case(LAYER, with_bias=True)
    assert not np.allclose(with_bias.exact(), Case(LAYER).exact())
    entries = hold(Fake("fake"), case=with_bias).entries
    assert entries["fake"].eligible and entries[OWN].eligible


def test_max_error() -> None:
    exact = np.array([1.0, -4.0])
    assert max_error(np.array([1.0, -3.0], np.float32), exact) == 0.25
    assert np.isnan(max_error(np.array([np.nan, -4.0]), exact))
    assert max_error(np.zeros(2), np.zeros(2)) == 0.0


def spin(until: threading.Event) -> None:
    while not until.is_set():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="states of threads are read from /proc")
def test_waiting_ends_when_others_sleep() -> None:
    stop = threading.Event()
    spinning = threading.Thread(target=spin, args=(stop,))
    spinning.start()
    threading.Timer(0.05, stop.set).start()
    waited = wait_until_quiet()
    spinning.join()
    assert 0.02 < waited < 0.2
    assert wait_until_quiet() < 0.1


def made_up(name: str, own: float, kind: str, **peers: float) -> Outcome:
    layer = NamedLayer(name, 1, 4, 4, 1, 1, 1, kind=kind)
    medians = {OWN: own, **{engine.replace("_", " "): median for engine, median in peers.items()}}
    entries = {name: Entry(name, eligible=True, timing=Timing((median,))) for name, median in medians.items()}
    return Outcome(Case(layer), 1.0, Limit(1e-6, 1e-7, "L1"), entries)


def test_summaries() -> None:
    outcomes = [
        made_up("a", 1.0, "x", p=2.0, q=3.0, fastconv_direct=0.5),
        made_up("b", 1.0, "x", p=8.0, fastconv_direct=2.0),
        made_up("c", 2.0, "y", p=1.0),
        made_up("d", 2.0, "y"),
    ]
    x, y, everything = summaries(outcomes)
    assert (x.group, x.layers, x.worst, x.worst_layer) == ("x", 2, 2.0, "a")
    assert x.geometric_mean == pytest.approx(4.0)
    assert (y.group, y.layers, y.worst) == ("y", 1, 0.5)
    assert everything.geometric_mean == pytest.approx(2.0)
    assert outcomes[0].best_algorithm is not None and outcomes[0].best_algorithm[0] == "fastconv direct"
    auto = auto_summary(outcomes)
    assert auto is not None and (auto.worst, auto.worst_layer, auto.layers) == (0.5, "a", 2)
    assert summaries([made_up("alone", 1.0, "x")]) == []


def test_limits() -> None:
    assert useful_multiply_adds(square("no pads", 2, 5, 3, 1)) == 2 * 3 * 25
    assert useful_multiply_adds(square("corners see 4 taps, edges 6", 1, 3, 1, 3)) == 4 * 4 + 4 * 6 + 9
    wide = NamedLayer("dilated away", 1, 3, 3, 1, 3, 3, padding=((5, 5), (5, 5)), dilation=(5, 5))
    assert useful_multiply_adds(wide) == 9
    bound = limit(LAYER, "float32", 1e-3, LEVELS, 1)
    assert bound.arithmetic_seconds == pytest.approx(2 * useful_multiply_adds(LAYER) / 1e6)
    problem = LAYER.problem()
    read, written = problem.input_bytes + problem.weight_bytes, problem.output_bytes
    assert bound.memory_seconds == pytest.approx(read / 100e9 + written / 50e9)
    assert (bound.level, bound.is_memory, bound.seconds) == ("L1", False, bound.arithmetic_seconds)
    assert limit(TABLES["vgg16_3x3"][0], "float32", 1e9, LEVELS, 1).level == "DRAM"


@pytest.mark.parametrize("table", TABLES)
def test_every_layer_has_a_kind(table: str) -> None:
    assert {layer.kind for layer in TABLES[table]} <= set(KINDS)


def test_every_kind_has_layers() -> None:
    assert {layer.kind for layers in TABLES.values() for layer in layers} == set(KINDS)


INSTALLED = [name for name, engine in PEERS.items() if engine.missing() is None]
TRIED = "prime|even kernel|multiplier|batch of 3|tiny 8->8 @8 3x3$|15x15 1->1"


@pytest.mark.parametrize("options", [["--dtype", "float32"], ["--layout", "NHWC", "--bias"]], ids=" ".join)
def test_installed_engines_agree_with_float64(options: list[str]) -> None:
    """In another process: some packages warn when imported, and all of them stay loaded."""
    command = [sys.executable, "-m", "fastconv", "bench", "--peers", "--json", "--seconds", "0.005", "--repeats", "2"]
    command += ["--layers", TRIED, "--threads", "1", *options]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    data = json.loads(result.stdout)
    assert set(data["engines"]) == {OWN, *INSTALLED}
    assert set(data["engines_missing"]) == set(PEERS) - set(INSTALLED)
    assert len(data["layers"]) == 6
    for layer in data["layers"]:
        for entry in layer["entries"]:
            assert entry["status"] != "failed", entry
            assert entry["status"] == "refused" or entry["max_error_over_max"] < 1e-5, entry
    takers = {entry["engine"] for layer in data["layers"] for entry in layer["entries"] if entry["time_median_us"]}
    layouts = {name: PEERS[name].layouts for name in INSTALLED}
    layout = "NHWC" if "NHWC" in options else "NCHW"
    assert takers == {OWN} | {name for name in INSTALLED if layout in layouts[name]}, "each takes one of them at least"


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Fake("absent")
    absent.module = "no_such_module_anywhere"
    engines = {engine.name: engine for engine in (Fake("fake"), Wrong("wrong"), absent)}
    monkeypatch.setattr(bench, "PEERS", engines)


SHORT = ["bench", "--peers", "--seconds", "0.005", "--repeats", "2", "--no-probe", "--layers", "^(tiny|prime)(?!.*N=8)"]


def test_tables(fakes: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--algorithms"]) == 0
    out = capfd.readouterr().out
    shown = "prime 7->13 @17x19 3x5", "best peer", "fake", "ratios per class", "time over that of auto"
    for words in (*shown, "wrong result, error", "no_such_module_anywhere is not installed"):
        assert words in out, words


def test_json_has_every_figure(fakes: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--json", "--algorithms", "direct,im2col"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert data["engines_missing"] == {"absent": "no_such_module_anywhere"}
    assert {"fastconv_version", "cpu", "isa", "threads", "layout", "dtype", "seconds", "bandwidth"} <= set(data)
    first = data["layers"][0]
    entries = {entry["engine"]: entry for entry in first["entries"]}
    assert list(entries) == [OWN, "fastconv direct", "fastconv im2col", "fake", "wrong"]
    assert first["best_peer"] == "fake" and first["kind"] == "tiny"
    assert first["ratio"] == pytest.approx(first["best_peer_us"] / first["fastconv_us"])
    assert first["limit_us"] == max(first["limit_arithmetic_us"], first["limit_memory_us"]) > 0
    own = entries[OWN]
    assert own["time_first_quartile_us"] <= own["time_median_us"] <= own["time_third_quartile_us"]
    assert data["classes"][0]["group"] == "tiny" and data["classes"][-1]["group"] == "all"
    assert data["auto"]["layers"] == len(data["layers"]) == 2


def test_csv_and_markdown(fakes: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--csv"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("layer,class,engine,status")
    assert len(lines) == 1 + 2 * 3, "two layers by fastconv and two engines that are there"
    assert main([*SHORT, "--markdown"]) == 0
    text = capfd.readouterr().out
    assert "| layer | algorithm | ms | best peer |" in text
    rows = [line for line in text.splitlines() if line.startswith("| prime")]
    assert rows and all(line.count("|") == 11 for line in rows[:1])


@pytest.mark.parametrize("data", ["--json", "--csv", "--markdown", None])
@pytest.mark.parametrize("peers", [True, False], ids=["peers", "alone"])
def test_plot_beside_any_data(
    data: str | None, peers: bool, fakes: None, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What goes to standard output is the same as without it; both drawings need ratios, one alone does not."""
    pytest.importorskip("matplotlib")
    drawing = tmp_path / "drawing.svg"
    options = [*SHORT, *([data] if data else []), "--plot", str(drawing)]
    assert main([option for option in options if peers or option != "--peers"]) == 0
    captured = capfd.readouterr()
    assert f"drawn: {drawing}" in captured.err
    if data == "--json":
        assert len(json.loads(captured.out)["layers"]) == 2
    else:
        assert ("layer,class,engine" if data == "--csv" else "of limit") in captured.out
    # Letters are paths in this file; matplotlib writes what they say in comments.
    drawn = drawing.read_text()
    for words in ("prime 7-&gt;13 @17x19 3x5", "share of the machine's limit, %", "limited by", "layer"):
        assert f"<!-- {words}" in drawn, words
    for words in ("time of the best peer / time of fastconv", "fake"):
        assert (f"<!-- {words}" in drawn) is peers, words


def test_plain_calls_stand_beside_prepared_ones(fakes: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--algorithms", "direct", "--plain-calls", "--json"]) == 0
    layers = json.loads(capfd.readouterr().out)["layers"]
    for layer in layers:
        entries = {entry["engine"]: entry for entry in layer["entries"]}
        own = [OWN, f"{OWN} direct", f"{OWN} {PLAIN_CALL}", f"{OWN} direct {PLAIN_CALL}"]
        assert list(entries)[:4] == own
        assert layer["best_algorithm"] == f"{OWN} direct", "what packs at each call is none of the algorithms"
        assert layer["best_peer"] == "fake"
        prepared, plain = entries[f"{OWN} direct"], entries[f"{OWN} direct {PLAIN_CALL}"]
        assert plain["detail"] == prepared["detail"]
        assert plain["max_error_over_max"] == prepared["max_error_over_max"]
        assert plain["stated_memory_bytes"] < prepared["stated_memory_bytes"], "no copy of the weights is kept"
    assert main([*SHORT, "--plain-calls", "--markdown"]) == 0
    assert "| layer | engine | algorithm | ms | ratio |" in capfd.readouterr().out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("layer", [*TABLES["odd"], LAYER], ids=str)
def test_plain_numpy_agrees_with_float64(layer: NamedLayer, layout: str, dtype: str) -> None:
    pytest.importorskip("threadpoolctl")
    outcome = hold(NumPy(), case=Case(layer, dtype, layout, with_bias=True))
    assert outcome.entries["NumPy"].eligible, outcome.entries["NumPy"].reason


def test_plain_numpy_refuses_what_takes_too_much_memory() -> None:
    single = next(layer for layer in TABLES["large_kernels"] if layer.name == "31x31 1->1 @512")
    assert NumPy().refuses(single, "float32", "NCHW") == "the matrix of patches takes more than 512 MiB"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--plot", "/no/such/folder/x.png"], "argument --plot: no such folder"),
        (["--set", "nothing"], "expected some of first"),
        (["--classes", "4x4"], "expected some of 1x1"),
        (["--layers", "("], "no regular expression"),
        (["--layers", "no layer is called this"], "no layer is in all of"),
        (["--engines", "nobody"], "expected parts of PyTorch"),
        (["--algorithms", "magic"], "expected some of"),
    ],
)
def test_bad_options(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["bench", *options])
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_engines_are_chosen_by_parts_of_names() -> None:
    options = bench_options("--engines", "scipy,fft")
    engines, missing = bench.choose_engines(options)
    assert {*engines, *missing} == {OWN, "SciPy FFT", "SciPy fftconvolve", "SciPy oaconvolve"}


def bench_options(*words: str):
    from fastconv.cli.main import build_parser

    return build_parser().parse_args(["bench", *words])
