"""`fastconv study`: the page says what the JSON says, sentences follow the data, and a stopped study goes on."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import study_page

import fastconv
from fastconv.bench.layers import square
from fastconv.bench.provenance import provenance
from fastconv.cli.main import main
from fastconv.study import SECTIONS, drawing, kernel_sizes, run
from fastconv.study.page import page
from fastconv.study.section import SCALES, Job, Section
from fastconv.study.shown import FORMS, Shown

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

FIGURES = {
    "dense": {"matrix", "weights-by-side", "time-by-side"},
    "kernel-sizes": {"time-by-kernel", "time-per-multiply-add", "memory-by-kernel", "map"},
    "stacks": {"stacks"},
    "factorisations": {"factorisations", "paper-and-clock"},
    "algorithms": {"speed-and-error", "error-by-values"},
    "learnt": {"shifts"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of tiny layers: true in form, meaningless in its times."""
    made = tmp_path_factory.mktemp("study")
    run.study(made, SECTIONS, SCALES["tiny"])
    return made


@pytest.fixture(scope="module")
def record(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / run.DATA).read_text("utf-8"))
    return data


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / run.REPORT).read_text("utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> study_page.Page:
    return study_page.read(html)


def written(record: dict[str, Any]) -> list[str]:
    return [key for key, data in record["sections"].items() if "left_out" not in data]


def test_every_number_on_the_page_is_in_the_json(record: dict[str, Any], read: study_page.Page) -> None:
    assert len(read.numbers) > 150
    for number in read.numbers:
        assert study_page.at(record, number.at) == number.value, number
        assert FORMS[number.form](number.value) == number.text, number
    shown = {number.at.split("/")[2] for number in read.numbers}
    assert shown == set(written(record))


def test_findings_have_no_number_of_their_own(html: str) -> None:
    """Digits outside of <data> are names of kernels and shapes, and nothing measured."""
    findings = re.findall(r'<p class="finding">(.*?)</p>', html, re.DOTALL)
    assert len(findings) == html.count("<section") - html.count("Left out:")
    for finding in findings:
        rest = re.sub(r"<data.*?</data>", "", finding)
        rest = re.sub(r"\d+×\d+|16 pixels|the 4 of", "", rest)
        assert not re.search(r"\d", rest), rest


def test_every_figure_is_there_and_drawn(record: dict[str, Any], read: study_page.Page) -> None:
    expected = {f"figure-{name}" for key in written(record) for name in FIGURES[key]}
    assert set(read.figures) == expected
    assert min(read.figures.values()) > 15, "axes, ticks, labels and data"
    assert all(len(caption) > 20 for caption in read.captions)
    assert len(read.captions) == len(expected)


def test_the_page_needs_nothing_else(html: str, read: study_page.Page) -> None:
    assert not {"script", "img", "iframe", "object"} & set(read.tags)
    assert all(link.startswith(("#", "data:")) for link in read.links)
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "@import" not in html
    assert len(read.ids) == len(set(read.ids))
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(read.ids)


def test_the_page_suits_dark_mode_and_phones(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "currentColor" in drawings
    assert not re.search(r"#(000000|010203|040506|ffffff)", drawings), "colours that are the page's to choose"


def test_the_json_says_where_it_comes_from(record: dict[str, Any], read: study_page.Page) -> None:
    assert record["complete"] is True
    assert record["scale"] == "tiny"
    for name in ("cpu", "isa", "threads", "fastconv_version", "utc"):
        assert record[name] == provenance()[name] or name == "utc"
    assert record["cpu"] in read.text
    assert record["isa"] in read.text


def test_sentences_follow_the_data(record: dict[str, Any]) -> None:
    turned = copy.deepcopy(record)
    section = next(section for section in SECTIONS if section.key == "stacks")
    for result in turned["sections"]["stacks"]["measured"].values():
        result["rows"][1]["against_first"]["time"] = 4.0
    data = turned["sections"]["stacks"]
    data["found"] = section.find(data["measured"])
    text = study_page.read(page(turned, [section])).text
    assert "faster in 0 of 3 cases: on average 4.00 times slower than" in text
    for result in data["measured"].values():
        result["rows"][1]["against_first"]["time"] = 0.25
    data["found"] = section.find(data["measured"])
    text = study_page.read(page(turned, [section])).text
    assert "faster in 3 of 3 cases: on average 4.00 times as fast as" in text


def test_words_for_ratios() -> None:
    shown = Shown("x", {}, {"fast": 2.0, "slow": 0.5, "same": 1.01, "none": None})
    assert study_page.read(shown.faster("found", "fast")).text == "2.00 times as fast as"
    assert study_page.read(shown.faster("found", "slow")).text == "2.00 times slower than"
    assert study_page.read(shown.faster("found", "same")).text == "as fast (1.01) as"
    assert study_page.read(shown.fewer("found", "slow")).text == "50% fewer"
    assert study_page.read(shown.fewer("found", "fast")).text == "100% more"
    assert shown("ratio", "found", "none") == "–"


def test_every_algorithm_takes_part_and_can_be_told_apart(record: dict[str, Any]) -> None:
    """A new one in the registry is in the sections, the map and the legends by itself."""
    names = fastconv.algorithms()
    assert set(kernel_sizes.ALGORITHMS) == set(names) - {"dense", "reference"}
    assert len({drawing.style_of(name) for name in names}) == len(names)
    shown = record["sections"]["algorithms"]["measured"]["3x3, 4 to 8 channels @24 on random"]["rows"]
    layer = square("", 4, 24, 8, 3).problem()
    assert set(shown) == {name for name in names if fastconv.rejects(name, layer) is None} - {"reference"}


class Stopped(Exception):
    pass


def counting(names: str, ran: list[str]) -> Section:
    def job(name: str) -> Job:
        return Job(name, lambda say: ran.append(name) or {"ran": len(ran)})  # type: ignore[func-returns-value]

    return Section(
        "counting", "Counting", "How many?", lambda scale: [job(name) for name in names],
        lambda measured: {"jobs": len(measured)}, lambda shown: iter([shown("count", "found", "jobs")]),
    )  # fmt: skip


def stop_after(count: int) -> Any:
    done = iter(range(1, 100))

    def call(effort: float) -> None:
        if next(done) == count:
            raise Stopped

    return call


def test_a_stopped_study_goes_on(tmp_path: Path) -> None:
    ran: list[str] = []
    sections = [counting("abcd", ran)]
    with pytest.raises(Stopped):
        run.study(tmp_path, sections, SCALES["tiny"], done=stop_after(2))
    assert ran == ["a", "b"]
    assert not (tmp_path / run.REPORT).exists()
    with pytest.raises(ValueError, match="expected a finished study"):
        run.redraw(tmp_path, sections)
    efforts: list[float] = []
    record = run.study(tmp_path, sections, SCALES["tiny"], done=efforts.append)
    assert ran == ["a", "b", "c", "d"]
    assert len(efforts) == 4, "what was done before counts as done"
    assert record["sections"]["counting"]["measured"]["a"] == {"ran": 1}
    assert record["sections"]["counting"]["found"] == {"jobs": 4}
    assert (tmp_path / run.REPORT).exists()
    run.study(tmp_path, sections, SCALES["tiny"])
    assert len(ran) == 8, "a finished one is measured anew"


def test_another_scale_is_no_part_of_it(tmp_path: Path) -> None:
    ran: list[str] = []
    sections = [counting("abc", ran)]
    with pytest.raises(Stopped):
        run.study(tmp_path, sections, SCALES["tiny"], done=stop_after(2))
    run.study(tmp_path, sections, SCALES["quick"])
    assert ran == list("ab" + "abc")


def test_redraw_gives_the_same_page(folder: Path, html: str) -> None:
    (folder / run.REPORT).unlink()
    assert main(["study", "--redraw", "--out", str(folder)]) == 0
    assert (folder / run.REPORT).read_text("utf-8") == html


def test_what_lacks_a_package_is_left_out(tmp_path: Path) -> None:
    left = Section("s", "Left", "?", lambda scale: [], lambda measured: {}, lambda shown: iter(()), ("no_such_module",))
    record = run.study(tmp_path, [left], SCALES["tiny"])
    assert record["sections"]["s"] == {"left_out": "it needs no_such_module, which is not installed"}
    text = study_page.read((tmp_path / run.REPORT).read_text("utf-8")).text
    assert "Left out: it needs no_such_module, which is not installed." in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--scale", "huge"), "--scale"),
        (("--sections", "dense,nonsense"), "--sections"),
        (("--threads", "0"), "--threads"),
        (("--redraw", "--out", "/no/such/folder"), "redraw"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["study", *arguments])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--scale", "tiny", "--threads", "1", "--sections", "stacks,dense", "--out", str(tmp_path)]
    assert main(["study", *options]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / run.REPORT}\n"
    assert "measurements" in captured.err
    record = json.loads((tmp_path / run.DATA).read_text("utf-8"))
    assert list(record["sections"]) == ["dense", "stacks"], "in the order of the page"
    assert record["threads"] == 1
