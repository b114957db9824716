"""The report in a real browser. Needs the extra `browser` and a Chromium; test_study.py checks the page without one."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastconv.study import SECTIONS, run
from fastconv.study.section import SCALES


def missing(what: str) -> None:
    """Skip, or fail where a browser is promised: .ci/run promises one if it could install it."""
    if os.environ.get("FASTCONV_TEST_BROWSER") == "required":
        pytest.fail(what, pytrace=False)
    pytest.skip(what, allow_module_level=True)


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    missing("no Chromium on this machine")
if importlib.util.find_spec("playwright") is None:
    missing("the extra browser is not installed")
playwright: Any = importlib.import_module("playwright.sync_api")

# Offline, and quiet: a browser that looks for updates would fail a test of a page that does not.
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    run.study(folder, SECTIONS, SCALES["tiny"])
    return folder / run.REPORT


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_report_in_a_browser(browser: Any, report: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.on("request", lambda request: said.extend({request.url} - {report.as_uri(), "data:,"}))
    page.goto(report.as_uri())
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page does not move sideways"
    wide = page.evaluate("[...document.querySelectorAll('.table')].filter(t => t.scrollWidth > t.clientWidth).length")
    assert wide == 0 or width == 400, "tables need no scrolling on a desk"
    sections = page.query_selector_all("section")
    assert len(sections) == len(SECTIONS)
    figures = page.query_selector_all("figure svg")
    assert len(figures) == len(page.query_selector_all("figure")) > 5
    for figure in figures:
        box = figure.bounding_box()
        assert box["width"] > 0.7 * min(width, 500)
        assert box["height"] > 120
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        sizes = figure.evaluate("svg => [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect().height)")
        assert len(sizes) > 4 and min(sizes) > 7, "letters can be read"
        drawn = figure.evaluate("svg => [svg.getBBox().width, svg.getBBox().height]")
        assert min(drawn) > 100
    ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    dark = sum(map(int, paper[4:-1].split(","))) < sum(map(int, ink[4:-1].split(",")))
    assert dark == (scheme == "dark")
    label = page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    assert label == ink, "drawings take the page's colour"
    columns = page.evaluate(
        "new Set([...document.querySelectorAll('#kernel-sizes figure')].map(f => f.getBoundingClientRect().x)).size"
    )
    assert columns == (1 if width == 400 else 2)
    context.close()
