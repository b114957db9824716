"""The command line, as its users meet it: in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from interruptible import interruptible

import fastconv

pytest.importorskip("rich")
pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

SMALL = ("--channels=8", "--filters=16", "--size=14", "--kernels=1,3", "--seconds=0.003", "--repeats=3")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fastconv", *arguments]


def fastconv_run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )


def test_version() -> None:
    done = fastconv_run("--version")
    assert (done.returncode, done.stdout) == (0, f"fastconv {fastconv.__version__}\n")


def rows_by_kernel(data: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    layers = data["parts"][0]["layers"]
    return {layer["kernel"]: {row["name"]: row for row in layer["rows"]} for layer in layers}


def test_compare_writes_json_and_draws(tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    done = fastconv_run("compare", *SMALL, "--json", "--threads", "1", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["fastconv_version"] == fastconv.__version__
    assert data["threads"] == 1
    assert data["isa"] in fastconv.available_isas()
    assert data["argv"][0] == "compare"
    assert data["cpu"]
    rows = rows_by_kernel(data)
    assert list(rows) == ["1x1", "3x3"]
    assert set(fastconv.algorithms()) < set(rows["1x1"])
    assert rows["1x1"]["winograd"]["status"] == "refused"
    assert rows["1x1"]["winograd"]["reason"]
    assert rows["3x3"]["pointwise"]["status"] == "refused"
    for name in ("direct", "im2col", "winograd", "reference", "conv2d()", "numpy tensordot"):
        row = rows["3x3"][name]
        assert row["time_first_quartile_us"] <= row["time_median_us"] <= row["time_third_quartile_us"]
        assert row["max_error_over_rms"] < 1e-5
        assert row["peak_memory_bytes"] >= 0
    layer = data["parts"][0]["layers"][1]
    assert layer["weights"] == 16 * 8 * 9
    assert layer["multiply_adds"] == 16 * 8 * 9 * 14 * 14
    assert layer["receptive_field_pixels"] == [3, 3]
    assert layer["dense_weights"] == 16 * 14 * 14 * 8 * 14 * 14
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_compare_writes_csv() -> None:
    done = fastconv_run("compare", *SMALL, "--csv", "--no-memory", "--no-baselines", "--dtype", "float64")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 2 * (len(fastconv.algorithms()) + 1)
    assert {row["dtype"] for row in rows} == {"float64"}
    assert {row["fastconv_version"] for row in rows} == {fastconv.__version__}
    measured = [row for row in rows if row["status"] == "measured"]
    assert all(float(row["time_median_us"]) > 0 and float(row["max_error_over_rms"]) < 1e-13 for row in measured)
    assert all(row["reason"] for row in rows if row["status"] == "refused")


def test_compare_prints_tables() -> None:
    done = fastconv_run("compare", *SMALL, "--no-memory", "--no-baselines", "--algorithms", "direct,winograd")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 120
    for text in ("GFLOP/s", "of peak", "workspace", "fastest", "auto", "refused  winograd", "receptive field 3 x 3"):
        assert text in done.stdout
    assert "Traceback" not in done.stderr


def test_explain() -> None:
    layer = ("explain", "--input", "1,64,56,56", "--weight", "64,64,3,3", "--padding", "1")
    text = fastconv_run(*layer)
    assert text.returncode == 0, text.stderr
    for name in fastconv.algorithms():
        assert name in text.stdout
    data = json.loads(fastconv_run(*layer, "--json", "--prepared", "--threads", "1").stdout)
    assert data["chosen"] == fastconv.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=1, prepared=True).chosen
    assert data["output_shape"] == [1, 64, 56, 56]
    reports = {report["algorithm"]: report for report in data["reports"]}
    assert reports["pointwise"]["reason"]
    assert reports["direct"]["reason"] is None
    assert reports["direct"]["workspace_bytes"] >= 0


def test_explain_says_why_this_variant_of_winograd() -> None:
    layer = ("explain", "--input", "1,256,14,14", "--weight", "256,256,3,3", "--padding", "1", "--prepared")

    def winograd(*options: str) -> tuple[str, dict[str, Any]]:
        done = fastconv_run(*layer, *options, "--json")
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout)
        return data["chosen"], next(r for r in data["reports"] if r["algorithm"] == "winograd")

    chosen, report = winograd()
    assert (chosen, report["variant"]) == ("winograd", "F(4x4,3x3)")
    for words in ("points 0, +-5/8, +-3/2 and infinity", "3 x 4 + 1 x 2 for 14 rows", "F(6x6,3x3): error 50.9 epsilon"):
        assert words in report["details"] and words in fastconv_run(*layer).stdout
    chosen, report = winograd("--accuracy", "strict")
    assert chosen == "direct" and "needs an error limit" in report["reason"]
    chosen, report = winograd("--max-error", "1.5e-5")
    assert report["variant"] == "F(2x2,3x3)" and report["expected_error"] < 1e-6


def test_accuracy_of_measurements() -> None:
    options = ("--seconds", "0.002", "--repeats", "3", "--threads", "1", "--json", "--accuracy", "strict")
    data = json.loads(fastconv_run("bench", "--layers", "64->64 @56$", "--classes", "3x3", *options).stdout)
    assert data["accuracy"] == "strict"
    assert data["layers"][0]["entries"][0]["detail"].startswith("direct")
    compared = ("compare", "--channels", "32", "--size", "20", "--kernels", "3", "--no-memory", "--no-baselines")
    data = json.loads(fastconv_run(*compared, *options).stdout)
    rows = {row["name"]: row for row in data["parts"][0]["layers"][0]["rows"]}
    assert rows["winograd"]["status"] == "refused" and not rows["conv2d()"]["variant"].startswith("winograd")


def test_advise() -> None:
    layer = (
        "advise",
        "--input",
        "16,14,14",
        "--weight",
        "32,16,5,5",
        "--seconds",
        "0.002",
        "--repeats",
        "3",
        "--no-memory",
    )
    done = fastconv_run(*layer, "--json", "--threads", "1")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    rows = {row["name"]: row for row in data["alternatives"]}
    assert set(rows) >= {"as is", "2 x 3x3", "1x5 then 5x1", "depthwise-separable", "3x3, dilation 2", "4 groups"}
    assert data["layer"]["output_shape"] == [1, 32, 14, 14]
    assert all(row["receptive_field"] == [5, 5] for row in rows.values())
    assert rows["as is"]["time_left"] == rows["as is"]["weights_left"] == 1.0
    assert rows["4 groups"]["multiply_adds_left"] == 0.25
    assert rows["4 groups"]["time_left"] == rows["4 groups"]["time_median_us"] / rows["as is"]["time_median_us"]
    text = fastconv_run(*layer)
    assert text.returncode == 0, text.stderr
    assert max(map(len, text.stdout.splitlines())) <= 120
    for part in ("as is", "arXiv:1409.1556", "receptive field 5 x 5", "is not measured here"):
        assert part in text.stdout


def test_info() -> None:
    data = json.loads(fastconv_run("info", "--json").stdout)
    assert data["fastconv_version"] == fastconv.__version__
    assert data["config"]["isa"]["available"] == list(fastconv.available_isas())
    assert fastconv.__version__ in fastconv_run("info").stdout


def test_bench_diff(tmp_path: Path) -> None:
    done = fastconv_run(
        "bench", "--set", "alexnet", "--layers", "192", "--seconds", "0.002", "--repeats", "3", "--json"
    )
    assert done.returncode == 0, done.stderr
    one, two = tmp_path / "a.json", tmp_path / "b.json"
    one.write_text(done.stdout)
    two.write_text(done.stdout)
    same = fastconv_run("bench", "diff", str(one), str(two))
    assert (same.returncode, same.stdout) == (0, "faster: 0, slower: 0, same: 2; mean factor 1.000\n"), same.stderr
    data = json.loads(done.stdout)
    for name in ("time_median_us", "time_first_quartile_us", "time_third_quartile_us"):
        data["layers"][0]["entries"][0][name] *= 10
    two.write_text(json.dumps(data))
    slower = fastconv_run("bench", "diff", str(one), str(two))
    assert slower.returncode == 1
    assert "slower: 1" in slower.stdout
    assert data["layers"][0]["name"] in slower.stdout
    assert [
        change["verdict"]
        for change in json.loads(fastconv_run("bench", "diff", str(two), str(one), "--json").stdout)["changes"]
    ] == ["faster", "same"]


def test_bench_peak() -> None:
    isa = fastconv.available_isas()[-1]
    done = fastconv_run("bench", "peak", "--isa", isa, "--threads", "2", "--size", "96", "--seconds", "0.01", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert [(row["isa"], row["threads"], row["dtype"]) for row in data["gemm"]] == [
        (isa, threads, dtype) for threads in (1, 2) for dtype in ("float32", "float64")
    ]
    assert all(row["share_of_peak"] > 0 for row in data["gemm"])
    assert {row["level"] for row in data["bandwidth"]} >= {"L1", "L2", "DRAM"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("compare", "--kernels", "3,zero"), "--kernels"),
        (("compare", "--kernels", "0"), "--kernels"),
        (("compare", "--algorithms", "fft2000"), "--algorithms"),
        (("compare", "--groups", "7"), "--groups"),
        (("compare", "--size", "4", "--padding", "valid", "--kernels", "5"), "--size"),
        (("compare", "--stride", "0"), "--stride"),
        (("compare", "--image", "/no/such/photograph.jpg"), "--image"),
        (("compare", "--plot", "/no/such/folder/plot.png"), "--plot"),
        (("compare", "--plot", "plot.nonsense"), "--plot"),
        (("compare", "--threads", "0"), "--threads"),
        (("compare", "--json", "--csv"), "--csv"),
        (("explain", "--input", "1,64,56,56"), "--weight"),
        (("explain", "--input", "1,64,56,56", "--weight", "64,63,3,3"), "--weight"),
        (("explain", "--input", "0,0", "--weight", "64,64,3,3"), "--input"),
        (("advise", "--input", "64,56,56"), "--weight"),
        (("advise", "--input", "64,8,8", "--weight", "64,63,3,3"), "--weight"),
        (("advise", "--input", "0,64,8,8", "--weight", "64,64,3,3"), "--input"),
        (("compare", "--max-error", "1e-30"), "--max-error"),
        (("bench", "diff", "/no/such.json", "/no/such.json"), "before"),
        (("bench", "peak", "--isa", "mmx"), "--isa"),
        (("bench", "peak", "--seconds", "-1"), "--seconds"),
    ],
    ids=" ".join,
)
def test_bad_options_are_named(
    arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from fastconv.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert f"argument {named}" in captured.err or f"required: {named}" in captured.err
    assert captured.out == ""


def test_without_a_command() -> None:
    done = fastconv_run()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


@pytest.mark.parametrize("missing", ["rich", "matplotlib", "PIL"])
def test_missing_extra_says_what_to_install(missing: str, tmp_path: Path) -> None:
    blocker = f"import sys; sys.modules[{missing!r}] = None\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = fastconv_run("compare", *SMALL, PYTHONPATH=path)
    assert done.returncode == 2
    assert 'pip install "fastconv[cli]"' in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    explained = fastconv_run("explain", "--input", "1,4,8,8", "--weight", "4,4,3,3", PYTHONPATH=path)
    assert explained.returncode == 0, "what needs no extra works without it"


def test_import_needs_numpy_alone() -> None:
    code = (
        "import sys, fastconv; "
        "print([m for m in ('rich', 'matplotlib', 'PIL', 'scipy', 'argparse', 'fastconv.cli') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_broken_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = command("explain", "--input", "1,4,8,8", "--weight", "4,4,3,3")
    try:
        done = subprocess.run(arguments, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_ctrl_c() -> None:
    arguments = command("compare", "--kernels", "3", "--seconds", "30", "--no-memory")
    with interruptible(arguments) as process:
        assert process.stderr is not None
        assert "comparing" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
