"""Bad input of the command line: a sentence on standard error and status 2, before anything is measured."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastconv.bench import capacity, json_files, texts
from fastconv.bench.diff import difference
from fastconv.bench.image import MOST_PIXELS, load
from fastconv.bench.provenance import provenance
from fastconv.cli.main import main
from fastconv.study import SECTIONS, run

pytest.importorskip("rich")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).resolve().parents[1]
NEVER_DONE = ("--seconds=3000", "--no-memory", "--no-baselines")  # whoever measures, is noticed


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that ends with status 2; gives its message, which is the last line of standard error."""

    def run_command(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (2, "")
        return str(err.splitlines()[-1].partition("error: ")[2])

    return run_command


# --- sizes ---


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "--batch=10000000", *NEVER_DONE),
        ("compare", "--size=1000000", "--channels=1", *NEVER_DONE),
        ("compare", "--channels=1000000", *NEVER_DONE),
        ("advise", "--input=64,100000,100000", "--weight=64,64,7,7", "--seconds=3000"),
        ("bench", "peak", "--size=1000000", "--seconds=3000"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_what_does_not_fit_into_memory_is_refused(arguments: tuple[str, ...], refused: Callable[..., str]) -> None:
    message = refused(*arguments)
    assert "expected what fits into memory, but it takes at least " in message
    assert message.endswith(" are available")


def test_ten_thousand_million_images_are_refused(refused: Callable[..., str]) -> None:
    assert "expected at most 2^61 multiply-adds" in refused("compare", "--batch=10000000000", *NEVER_DONE)


def test_the_least_of_all_limits_on_memory_counts(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]) -> None:
    assert 2**20 < capacity.available_memory() < 2**60
    monkeypatch.setattr(capacity, "_limits", lambda: [2**40, 2**20, 2**30])
    assert capacity.available_memory() == 2**20
    assert refused("compare", *NEVER_DONE).endswith("and 1 MiB are available")
    monkeypatch.setattr(capacity, "_limits", lambda: [-5])
    assert capacity.available_memory() == 0


def test_an_infinite_limit_of_errors_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    layer = ("explain", "--input=1,4,8,8", "--weight=4,4,3,3", "--json")
    assert main((*layer, "--max-error=inf")) == 0
    data = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert data["max_error"] is None
    assert main((*layer, "--max-error=0.5")) == 0
    assert json.loads(capsys.readouterr().out)["max_error"] == 0.5


def test_numbers_that_json_lacks_become_null() -> None:
    data = {"a": [1.5, float("nan"), (float("inf"), True)], "b": {"c": -float("inf")}}
    assert json.loads(json_files.as_json(data)) == {"a": [1.5, None, [None, True]], "b": {"c": None}}


# --- what is written ---


def unwritable(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    return {
        "a folder": tmp_path / "folder.png",
        "below a file": tmp_path / "file" / "plot.png",
        "in no folder": tmp_path / "none" / "plot.png",
        "of too long a name": tmp_path / ("x" * 300 + ".png"),
        "with a NUL": tmp_path / "a\0b.png",
    }


def test_plots_that_cannot_be_written_are_known_beforehand(tmp_path: Path, refused: Callable[..., str]) -> None:
    for path in unwritable(tmp_path).values():
        for command in ("compare", "bench"):
            message = refused(command, "--seconds=3000", f"--plot={path}")
            assert message.startswith(("argument --plot: cannot write ", "argument --plot: no such folder: "))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_to_is_known_beforehand(tmp_path: Path, refused: Callable[..., str]) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "cannot write" in refused("compare", *NEVER_DONE, f"--plot={tmp_path}/plot.png")
        assert "Permission denied" in refused("study", "--scale=tiny", f"--out={tmp_path}/study")
    finally:
        tmp_path.chmod(0o700)


def test_trying_whether_a_file_can_be_written_leaves_it_alone(tmp_path: Path, refused: Callable[..., str]) -> None:
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"what was there")
    for path in (kept, tmp_path / "new.png"):
        refused("compare", f"--plot={path}", "--image=/no/such/photograph.jpg")
    assert kept.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("taken", ["", "report.json", "report.html", "report.json.part", "report.html.part"])
def test_a_study_that_cannot_be_written_is_not_begun(
    taken: str, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "study", pytest.fail)
    out = tmp_path / "out"
    if taken:
        (out / taken).mkdir(parents=True)
    else:
        out.touch()
    assert refused("study", "--scale=tiny", f"--out={out}").startswith("argument --out: ")


# --- photographs ---


def png(width: int, height: int) -> bytes:
    """The head of a picture that claims a size, and nothing after it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


def photograph(kind: str, tmp_path: Path) -> bytes:
    path = tmp_path / f"whole.{kind}"
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(path)
    return path.read_bytes()


BROKEN: dict[str, Callable[[Path], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"This is no picture.\n",
    "over 179 megapixels": lambda _: png(14_000, 14_000),
    "over a tebipixel": lambda _: png(2**31 - 1, 2**31 - 1),
    "nothing after the head": lambda _: png(64, 64),
    "jpeg cut": lambda tmp_path: photograph("jpeg", tmp_path)[:-200],
    "png cut": lambda tmp_path: photograph("png", tmp_path)[:-40],
    "png cut in its head": lambda tmp_path: photograph("png", tmp_path)[:20],
    "png with a wrong chunk": lambda tmp_path: photograph("png", tmp_path).replace(b"IDAT", b"\xff\xfe\xfd\xfc"),
    "gif cut": lambda tmp_path: photograph("gif", tmp_path)[:30],
    "tiff of noise": lambda tmp_path: photograph("tiff", tmp_path)[:8] + bytes(range(256)),
    "bmp of noise": lambda tmp_path: photograph("bmp", tmp_path)[:14] + bytes(range(200)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_garbled_photographs_are_named(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    path = tmp_path / "photograph.png"
    path.write_bytes(BROKEN[kind](tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused("compare", f"--image={path}", *NEVER_DONE).startswith(f"argument --image: cannot read {path}: ")


def test_a_folder_is_no_photograph(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "Is a directory" in refused("compare", f"--image={tmp_path}", *NEVER_DONE)


@pytest.mark.parametrize("cut", range(5, 100, 10))
def test_photographs_cut_anywhere_are_read_or_refused(cut: int, tmp_path: Path) -> None:
    for kind in ("png", "jpeg", "gif", "bmp", "tiff", "webp"):
        whole = photograph(kind, tmp_path)
        path = tmp_path / "cut"
        path.write_bytes(whole[: len(whole) * cut // 100])
        try:
            picture = load(path)
        except OSError:
            continue
        assert picture.mode == "RGB"


def test_large_photographs_are_read_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "whole.png"
    photograph("png", tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(path).size == (64, 48)
    assert MOST_PIXELS == 178_956_970  # as Pillow has it, which tests may not change


# --- names of files ---

FOREIGN = os.fsdecode(b"caf\xe9.png")  # latin-1, as an old disk has it


def test_file_names_that_are_no_utf8_are_read_written_and_told(tmp_path: Path) -> None:
    image, plot = tmp_path / FOREIGN, tmp_path / os.fsdecode(b"plot\xff.png")
    try:
        image.write_bytes(photograph("png", tmp_path))
    except OSError:
        pytest.skip("this file system has no such names")
    arguments = ("--channels=2", "--size=6", "--kernels=3", "--seconds=0.0005", "--repeats=1", "--no-memory")
    done = subprocess.run(
        [sys.executable, "-m", "fastconv", "compare", *arguments, "--algorithms=direct", "--no-baselines",
         f"--image={image}", f"--plot={plot}"],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rb"plot\xff.png" in done.stderr
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert rb"caf\xe9.png" in done.stdout


def test_names_become_text_that_every_encoding_of_unicode_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fastconv", "compare", FOREIGN])
    assert provenance()["argv"] == ["compare", r"caf\xe9.png"]
    assert texts.path_text(FOREIGN) == r"caf\xe9.png"
    assert texts.path_text(Path("caf\N{LATIN SMALL LETTER E WITH ACUTE}")) == "caf\N{LATIN SMALL LETTER E WITH ACUTE}"


# --- JSON ---

RECORD: dict[str, Any] = {
    "fastconv_version": "0.1.0",
    "layers": [
        {
            "name": "a layer",
            "peak_gflop_per_s": 100.0,
            "entries": [
                {
                    "engine": "fastconv",
                    "time_median_us": 10.0,
                    "time_first_quartile_us": 9.0,
                    "time_third_quartile_us": 11.0,
                    "noisy": False,
                },
                {"engine": "another", "time_median_us": None},
            ],
        }
    ],
}


def changed(record: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with something else at a place, or with nothing there: `...`."""
    copied = copy.deepcopy(record)
    holder = copied
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return copied


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a record."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for name, item in inner for place in places(item, (*path, name))]


@pytest.mark.parametrize("value", [..., None, True, -1.0, 0, float("inf"), 1e300, "text", [], [3], {}], ids=repr)
def test_a_record_with_anything_anywhere_is_compared_or_refused(value: Any) -> None:
    assert difference(RECORD, RECORD).factor == 1.0
    for place in places(RECORD):
        other = changed(RECORD, place, value)
        for before, after in ((RECORD, other), (other, RECORD)):
            said = outcome(before, after)
            assert said.startswith(
                ("a factor of ", "before: expected what", "after: expected what", "engine: no layer")
            )


def outcome(before: Any, after: Any) -> str:
    try:
        return f"a factor of {difference(before, after).factor:.3g}"
    except ValueError as error:
        return str(error)


def test_bench_diff_says_what_is_wrong_with_a_record_and_who_wrote_it(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    right, other = tmp_path / "right.json", tmp_path / "other.json"
    right.write_text(json.dumps(RECORD))
    for record, words in (
        ([], "before: expected what fastconv bench --json writes, but the whole is no object"),
        ({"layers": 5}, "but layers is not a list"),
        (changed(RECORD, ("layers", 0, "entries", 0, "noisy"), ...), "but layers[0].entries[0].noisy is missing"),
        (changed(RECORD, ("layers", 0, "entries", 0, "time_median_us"), "5"), "time_median_us is not a number above 0"),
        ({"fastconv_version": "9.8", "layers": [{}]}, "(fastconv 9.8 wrote it, this is 0.1.0)"),
    ):
        other.write_text(json.dumps(record))
        message = refused("bench", "diff", str(other), str(right))
        assert message.startswith("argument before: ") and words in message


@pytest.mark.parametrize(
    "contents",
    [b"", b"{", b"\xff\xfe", b"{} {}", b"[" * 100_000, b'{"layers": NaN}', b"9" * 5000, b"\xef\xbb\xbf{}"],
    ids=range(8),
)
def test_a_file_that_is_no_json_is_named(contents: bytes, tmp_path: Path, refused: Callable[..., str]) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(contents)
    assert refused("bench", "diff", str(path), str(path)).startswith(f"argument before: cannot read {path}: ")
    assert refused("study", "--redraw", f"--out={tmp_path}")
    (tmp_path / "report.json").write_bytes(contents)
    assert refused("study", "--redraw", f"--out={tmp_path}").startswith("argument --redraw: ")


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"complete": True},
        {"complete": True, "sections": {SECTIONS[0].key: {}}},
        {"complete": True, "sections": {SECTIONS[0].key: {"measured": {}, "found": {}}}, "fastconv_version": "0.0.1"},
        {"complete": True, "sections": {SECTIONS[0].key: 7}, "threads": "two"},
        {"complete": False, "sections": {}},
    ],
    ids=range(6),
)
def test_a_report_that_another_version_wrote_is_not_redrawn(
    record: object, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(record))
    message = refused("study", "--redraw", f"--out={tmp_path}")
    assert message.startswith(f"argument --redraw: {tmp_path / 'report.json'}: expected ")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("record", [[], {}, {"sections": 5, "complete": False}, "text", None], ids=repr)
def test_what_is_no_unfinished_study_is_not_gone_on_with(record: object, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(record))
    like = dict.fromkeys(run._SAME) | {"sections": {}}
    assert run.unfinished(tmp_path, like) is None


def test_write_docs_names_a_run_that_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("{")
    script = ROOT / "benchmarks" / "write_docs.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check", "--add", str(path), "x"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"write_docs.py: error: cannot read {path}: ")
    assert not (ROOT / "docs/measured/x.json").exists()
